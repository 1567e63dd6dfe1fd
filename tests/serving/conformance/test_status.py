"""SERVING.md section 6, row by row: what GetModelStatus tells."""

from polysemy.serving.protos import GetModelStatusRequest, GetModelStatusResponse

METHOD = "ModelService/GetModelStatus"


def ask(call, **spec):
    request = GetModelStatusRequest()
    if spec:
        request.model_spec.name = spec["name"]
    if "version" in spec:
        request.model_spec.version.value = spec["version"]
    if "label" in spec:
        request.model_spec.version_label = spec["label"]
    answer = call(METHOD, request, GetModelStatusResponse)
    if isinstance(answer, tuple):
        return answer
    return [
        (each.version, each.state, each.status.error_code) for each in answer.model_version_status
    ]


def test_no_spec(call):
    """no spec: INVALID_ARGUMENT `Missing ModelSpec`"""
    assert ask(call) == ("INVALID_ARGUMENT", "Missing ModelSpec")


def test_name_never_seen(call):
    """name never seen (or empty): NOT_FOUND `Could not find any versions of model NAME`"""
    for name in ("nobody", "", "../pair"):
        expected = ("NOT_FOUND", f"Could not find any versions of model {name}")
        assert ask(call, name=name) == expected


def test_name_and_version(call):
    """name + version: that one; NOT_FOUND `Could not find version N of model NAME`"""
    assert ask(call, name="pair", version=1) == [(1, 30, 0)]
    expected = ("NOT_FOUND", "Could not find version 7 of model pair")
    assert ask(call, name="pair", version=7) == expected


def test_name_and_label(call):
    """name + label: the label is ignored: all versions"""
    assert ask(call, name="pair", label="no such label") == [(1, 30, 0)]


def test_every_version_ever_seen_newest_first(lab, gate):
    """name: every version ever seen by this process, newest first: START 10, LOADING 20,
    AVAILABLE 30, UNLOADING 40, END 50. Unloaded versions stay, END with OK; so does a model
    dropped from the config"""
    gate.open(1, 2)
    lab.add(1)
    manager = lab.manager()
    lab.add(2)
    lab.poll(manager)
    lab.add(3)
    manager.poll()
    gate.wait_for(3)
    assert list(lab.status(manager).items()) == [
        (3, ("LOADING", 0, "")),
        (2, ("AVAILABLE", 0, "")),
        (1, ("END", 0, "")),
    ]
    gate.open(3)
    manager.settle(30)
    manager.configure([])
    manager.settle(30)
    assert lab.states(manager) == {3: "END", 2: "END", 1: "END"}
    assert [code for _, code, _ in lab.status(manager).values()] == [0, 0, 0]


def test_a_failed_load_tells_its_error(lab):
    """A failed load is END with the error's code and text in `status`."""
    lab.add(1, broken=True)
    manager = lab.manager()
    state, code, text = lab.status(manager)[1]
    assert state == "END" and code != 0 and "pair/1" in text
    assert str(lab.root) not in text and "\n" not in text


def test_a_version_outside_the_policy_was_never_seen(lab, call, model_spec):
    """A version outside the policy was never seen: NOT_FOUND."""
    lab.add(1, 2)
    assert lab.states(lab.manager()) == {2: "AVAILABLE"}
