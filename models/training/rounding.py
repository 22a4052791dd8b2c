"""Trains a BERT the way its quantized file computes: with activations rounded to 256 steps."""

import torch

from fine_tuning import steps_of


def rounded_at_the_end(model, loss_of, share: float, lengths: list[int], options):
    """`loss_of`, the last `share` of `train`'s batches with rounded activations."""
    rounding = RoundedActivations(model)
    first = (1 - share) * steps_of(lengths, options)
    calls = 0

    def rounded(batch: list[int]) -> torch.Tensor:
        nonlocal calls
        rounding.on = calls >= first
        calls += 1
        return loss_of(batch)

    return rounded


class RoundedActivations:
    """Rounds to 256 steps, while the model trains, what the quantized file rounds: the input of each layer, of its
    feed-forward half, and of the products after attention and after GELU; sums that read the same tensors get them rounded.

    A range is the running mean of the batches' smallest and largest values; gradients pass as if nothing was rounded."""

    def __init__(self, model, momentum: float = 0.02):
        self.on = False
        self.momentum = momentum
        self.ranges: dict[torch.nn.Module, torch.Tensor] = {}
        for layer in model.bert.encoder.layer:
            for part in (layer, layer.attention.output.dense, layer.output.dense):
                part.register_forward_pre_hook(lambda part, inputs: (self.round(part, inputs[0]), *inputs[1:]))
            layer.attention.output.register_forward_hook(lambda part, _, output: self.round(part, output))

    def round(self, part: torch.nn.Module, values: torch.Tensor) -> torch.Tensor:
        if not self.on or not part.training:
            return values
        values = values.float()
        now = torch.stack(torch.aminmax(values.detach()))
        self.ranges[part] = torch.lerp(self.ranges.get(part, now), now, self.momentum)
        low, high = self.ranges[part].tolist()
        scale = (high - low) / 255
        return torch.fake_quantize_per_tensor_affine(values, scale, round(-low / scale), 0, 255)
