"""Times the forward pass of mamba_ssm's selective_scan_fn on a GPU.

Reads {"device", "shapes"} as JSON from stdin, shapes as in bench/scan-shapes.ts with the number of sets of inputs to take
in turn, and writes the seconds of a call of each as a JSON list; null where there is no such scan.
"""

import json
import math
import statistics
import sys

try:
    import torch
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
except ImportError as error:
    sys.exit(f"mamba_ssm cannot be imported: {error}")


def make_inputs(shape, device):
    batch, dim, seqlen, dstate = (shape[name] for name in ("batch", "dim", "seqlen", "dstate"))
    case = shape.get("case", {})
    dtype = getattr(torch, shape["dtype"])
    is_complex = case.get("complexA", False)
    parts = 2 if is_complex else 1

    def centred(*dims, dtype=dtype):
        return (2 * torch.rand(*dims, device=device) - 1).to(dtype)

    def state_matrix():
        rates = -torch.arange(1, dstate + 1, device=device, dtype=torch.float32).repeat(dim, 1)
        return torch.complex(rates, torch.pi * torch.rand_like(rates)) if is_complex else rates

    def matrix(is_constant):
        groups = [case["groups"]] if "groups" in case else []
        return state_matrix() if is_constant else centred(batch, *groups, dstate, parts * seqlen)

    return {
        "u": centred(batch, dim, seqlen),
        "delta": centred(batch, dim, seqlen),
        "A": state_matrix(),
        "B": matrix(case.get("constantB")),
        "C": matrix(case.get("constantC")),
        "D": centred(dim, dtype=torch.float32),
        "z": centred(batch, dim, seqlen) if shape["z"] else None,
        "delta_bias": -4 + centred(dim, dtype=torch.float32),
        "delta_softplus": True,
    }


def seconds_of(shape, device):
    sets = [make_inputs(shape, device) for _ in range(shape["sets"])]

    def run():
        for inputs in sets:
            selective_scan_fn(**inputs)

    run()
    torch.cuda.synchronize()
    # A graph, so that the time is the kernel's and not Python's.
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()

    def replay(times):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(times):
            graph.replay()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1e3 / times / len(sets)

    replay(1)
    times = math.ceil(0.02 / (replay(1) * len(sets)))
    return statistics.median(replay(times) for _ in range(15))


def has_peer(shape):
    """It starts from zero and takes whole sequences only."""
    return not {"states", "sequences"} & shape.get("case", {}).keys()


def main():
    request = json.load(sys.stdin)
    device = torch.device(request["device"])
    torch.cuda.set_device(device)
    # mamba_ssm knows one layout, (batch, dim, seqlen): a shape of either is timed in it, and once.
    seconds = {}
    keys = [json.dumps({**shape, "layout": "bdl", "against": None}) for shape in request["shapes"]]
    with torch.no_grad():
        for key, shape in zip(keys, request["shapes"]):
            if key not in seconds:
                seconds[key] = seconds_of(shape, device) if has_peer(shape) else None
                torch.cuda.empty_cache()
    json.dump([seconds[key] for key in keys], sys.stdout)


main()
