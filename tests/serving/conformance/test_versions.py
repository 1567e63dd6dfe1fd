"""SERVING.md section 9, row by row: which versions are loaded, and when they leave."""

import shutil

import pytest

ALL = "model_version_policy { all {} }"


def test_whole_numbers_are_versions(lab):
    """A version is a child whose whole name is an integer (`00000012` is 12)"""
    lab.add("00000012")
    for name in ("7.tmp", "v9", "-3", "1e2", " 40", "99999999999999999999"):
        lab.add(name)
    (lab.root / "pair" / "77").write_text("a file")
    manager = lab.manager(lab.config(text=ALL))
    assert lab.states(manager) == {12: "AVAILABLE"}


def test_renaming_is_the_way_in(lab):
    """writing to a temporary name and renaming is the atomic way in"""
    folder = lab.add(1, "2.tmp")
    manager = lab.manager()
    assert lab.states(manager) == {1: "AVAILABLE"}
    (folder / "2.tmp").rename(folder / "2")
    assert lab.states(lab.poll(manager)) == {2: "AVAILABLE", 1: "END"}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("", [4]),
        ("latest {}", [4]),
        ("latest { num_versions: 0 }", [4]),
        ("latest { num_versions: 2 }", [2, 4]),
        ("latest { num_versions: 9 }", [1, 2, 4]),
        ("all {}", [1, 2, 4]),
        ("specific { versions: 1 versions: 2 }", [1, 2]),
        ("specific { versions: 3 versions: 1 }", [1]),
    ],
)
def test_policies(lab, policy, expected):
    """unset or `latest{num_versions: n}` = n largest; `all{}`; `specific{versions}`"""
    lab.add(1, 2, 4)
    manager = lab.manager(lab.config(text=f"model_version_policy {{ {policy} }}"))
    assert [servable.version for servable in manager.available()] == expected


def test_the_old_version_serves_until_the_new_one_is_ready(lab, gate):
    """a new wanted version loads while the old one serves; only when a wanted version is ready is
    an unwanted one unloaded"""
    lab.add(1)
    gate.open(1)
    manager = lab.manager()
    lab.add(2)
    manager.poll()
    gate.wait_for(2)
    assert lab.states(manager) == {2: "LOADING", 1: "AVAILABLE"}
    assert lab.answering(manager) == 1
    gate.open(2)
    manager.settle(30)
    assert lab.states(manager) == {2: "AVAILABLE", 1: "END"}
    assert lab.answering(manager) == 2


def test_the_highest_new_version_loads_first(lab, gate):
    """the highest new one loads first"""
    lab.add(1, 2, 3)
    gate.open(3)
    from polysemy.serving.server import ServerOptions
    from polysemy.serving.server.manager import ModelManager

    options = ServerOptions(num_load_threads=1, max_num_load_retries=0)
    manager = ModelManager([lab.config(text=ALL)], options)
    lab.made.append(manager.close)
    manager.poll()
    gate.wait_for(2)  # after 3 and before 1
    assert lab.states(manager) == {3: "AVAILABLE", 2: "LOADING", 1: "START"}
    gate.open(1, 2)


def test_without_folders_everything_unloads(lab):
    """If nothing is wanted any more (all folders gone), everything unloads → NOT_FOUND."""
    lab.add(1, 2)
    manager = lab.manager(lab.config(text=ALL))
    lab.remove(1, 2)
    lab.poll(manager)
    assert lab.states(manager) == {2: "END", 1: "END"}
    expected = ("NOT_FOUND", "Servable not found for request: Latest(pair)")
    assert lab.answering(manager) == expected


def test_requests_keep_the_version_they_started_on(lab, model_spec):
    """In-flight requests keep the version they started on; it is freed after them."""
    lab.add(1)
    manager = lab.manager()
    with manager.acquire(model_spec()) as servable:
        lab.add(2)
        lab.poll(manager)
        assert lab.states(manager) == {2: "AVAILABLE", 1: "UNLOADING"}
        assert lab.answering(manager) == 2
        assert lab.answering(manager, version=1)[0] == "NOT_FOUND"  # not for new requests
        assert servable.version == 1 and servable.signature_def("").inputs
    assert manager.settle(30)
    assert lab.states(manager) == {2: "AVAILABLE", 1: "END"}


def test_removing_the_newest_rolls_back(lab, gate):
    """Removing the newest folder rolls back the same way."""
    lab.add(1, 2)
    gate.open(2)
    manager = lab.manager()
    lab.remove(2)
    manager.poll()
    gate.wait_for(1)
    assert lab.answering(manager) == 2  # serves without its folder until 1 is there
    gate.open(1)
    manager.settle(30)
    assert lab.states(manager) == {2: "END", 1: "AVAILABLE"}
    lab.add(2)
    assert lab.states(lab.poll(manager)) == {2: "AVAILABLE", 1: "END"}


def test_an_older_number_is_ignored(lab):
    """An older number than the served one is ignored under `latest`."""
    lab.add(5)
    manager = lab.manager()
    lab.add(4)
    assert lab.states(lab.poll(manager)) == {5: "AVAILABLE"}


def test_a_number_is_loaded_once(lab):
    """A number is loaded once: changing files under a served version does nothing."""
    folder = lab.add(1)
    manager = lab.manager()
    (served,) = manager.available()
    (folder / "1" / "saved_model.pb").write_bytes(b"other")
    lab.poll(manager)
    assert manager.available() == [served]


def test_a_failed_version_ends_and_its_number_may_be_used_again(lab):
    """A version that failed stays END until its folder is gone for a poll; then the number may be
    used again."""
    lab.add(1)
    manager = lab.manager()
    lab.add(2, broken=True)
    for _ in range(2):
        lab.poll(manager)
        assert lab.states(manager) == {2: "END", 1: "AVAILABLE"}
    assert manager.load_attempts == 2
    lab.remove(2)
    lab.poll(manager)
    assert lab.states(manager) == {2: "END", 1: "AVAILABLE"}
    lab.add(2)
    assert lab.states(lab.poll(manager)) == {2: "AVAILABLE", 1: "END"}


def test_a_failed_load_is_retried(lab):
    """A load that fails is retried `--max_num_load_retries` times, `--load_retry_interval_micros`
    apart, in LOADING; the old version serves meanwhile."""
    lab.add(1)
    manager = lab.manager(max_num_load_retries=2, load_retry_interval_micros=1)
    lab.add(2, broken=True)
    lab.poll(manager)
    assert lab.status(manager)[2] == ("LOADING", 0, "") and lab.answering(manager) == 1
    for attempts in (3, 4):
        manager.retry()
        manager.settle(30)
        assert manager.load_attempts == attempts
    state, code, text = lab.status(manager)[2]
    assert state == "END" and code and "elements" not in text and str(lab.root) not in text
    manager.retry()
    assert manager.load_attempts == 4 and lab.answering(manager) == 1


def test_a_retry_that_works(lab, monkeypatch):
    """The same version is available when what kept it from loading is over."""
    from polysemy.serving.server import manager as module

    real, calls = module.load_version, []

    def failing_once(version, *rest):
        calls.append(version.number)
        if len(calls) == 1:
            raise OSError("stale file handle")
        return real(version, *rest)

    monkeypatch.setattr(module, "load_version", failing_once)
    lab.add(1)
    manager = lab.manager(max_num_load_retries=1, load_retry_interval_micros=1)
    assert lab.states(manager) == {1: "LOADING"}
    manager.retry()
    manager.settle(30)
    assert lab.states(manager) == {1: "AVAILABLE"} and calls == [1, 1]


def test_an_unreadable_base_path_stops_nobody_else(lab):
    """Not to imitate: one unreadable base path stops version polling of **all** models. Nor does
    it unload what is served: a storage that is away says nothing about its versions."""
    lab.add(1, name="away")
    lab.add(1)
    manager = lab.manager(lab.config("away"), lab.config())
    (lab.root / "away").rename(lab.root / "moved")
    lab.add(2)
    lab.poll(manager)
    assert lab.states(manager) == {2: "AVAILABLE", 1: "END"}
    assert lab.states(manager, "away") == {1: "AVAILABLE"}
    (lab.root / "moved").rename(lab.root / "away")
    lab.add(2, name="away")
    assert lab.answering(lab.poll(manager), "away") == 2


def test_a_load_that_hangs_stops_nobody_else(lab, gate):
    """Not to imitate: retries and slow loads that block the other models."""
    lab.add(9, name="slow")
    lab.add(1)
    gate.open(1)
    from polysemy.serving.server.manager import ModelManager

    manager = ModelManager([lab.config("slow"), lab.config()])
    lab.made.append(manager.close)
    manager.poll()
    gate.wait_for(9)
    with manager.changed:
        assert manager.changed.wait_for(lambda: manager.is_available("pair", 1), 30)
    assert lab.states(manager, "slow") == {9: "LOADING"}
    gate.open(9)


def test_a_half_copied_version_is_tried_again_when_it_is_whole(lab):
    """A folder that is being filled fails and is tried again when its files have changed, whatever
    the retries say; the version before it serves meanwhile."""
    lab.add(1)
    manager = lab.manager()
    half = lab.root / "pair" / "2"
    (half / "variables").mkdir(parents=True)
    assert lab.states(lab.poll(manager)) == {2: "END", 1: "AVAILABLE"}
    shutil.copy(lab.template / "saved_model.pb", half)
    lab.poll(manager)
    assert lab.states(manager) == {2: "END", 1: "AVAILABLE"} and manager.load_attempts == 3
    lab.poll(manager)
    assert manager.load_attempts == 3  # nothing has changed
    shutil.copytree(lab.template, half, dirs_exist_ok=True)
    assert lab.states(lab.poll(manager)) == {2: "AVAILABLE", 1: "END"}


def test_a_version_whose_files_change_while_it_loads_does_not_serve(lab, monkeypatch):
    """A vocabulary that is half there would load: what changed meanwhile is loaded again."""
    from polysemy.serving.server import loading

    real = loading.Servable

    def growing(name, version, path, *rest, **options):
        servable = real(name, version, path, *rest, **options)
        with open(path / "assets" / "words.txt", "a") as file:
            file.write("more\n")
        return servable

    folder = lab.add(1)
    (folder / "1" / "assets").mkdir(exist_ok=True)
    monkeypatch.setattr(loading, "Servable", growing)
    manager = lab.manager()
    state, _, text = lab.status(manager)[1]
    assert state == "END" and "'pair/1', which changed while it was loaded" in text
    monkeypatch.setattr(loading, "Servable", real)
    assert lab.states(lab.poll(manager)) == {1: "AVAILABLE"}
