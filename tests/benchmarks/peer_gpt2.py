"""The other side of `gpt2_decoding.py`: Hugging Face's program on PyTorch. Started as a process."""

import torch
import transformers
import worker


def decoder(directory, prompts, new_tokens):
    """Greedy continuations of prompts given as ids: "generate"."""
    model = transformers.AutoModelForCausalLM.from_pretrained(directory).eval()
    ids = torch.tensor(prompts)
    mask = torch.ones_like(ids)

    def generate():
        with torch.inference_mode():
            found = model.generate(
                ids,
                attention_mask=mask,
                do_sample=False,
                max_new_tokens=new_tokens,
                min_new_tokens=new_tokens,
                pad_token_id=0,
            )
        return found[:, ids.shape[1] :]

    decoder.last = generate()
    return {"generate": generate}


def answers():
    """What the decoder that was prepared last wrote."""
    return decoder.last.tolist()


if __name__ == "__main__":
    torch.set_num_threads(worker.THREADS)
    worker.serve(
        {"decoder": decoder, "answers": answers},
        {"torch": torch.__version__, "transformers": transformers.__version__},
    )
