"""How training images are changed at random from epoch to epoch: as He et al. 2016, section 4.2, on CIFAR."""

import torch
from torch.nn import functional as F


class Augmentation:
    """What happens in one epoch to its training images: each is shifted, and half of them are mirrored.

    An image is padded with `padding` black pixels on each side (`side` // 8: 4 at 32 x 32), cut out of that
    at its old size at a place drawn uniformly, and flipped left-right with probability 1/2.

    All `n_images` positions of the epoch are drawn here at once, on the CPU, from `seed`, which
    `seeds.augmentation` gives: what happens at position p depends neither on how the epoch is cut into
    batches, nor on the optimizer, nor on the device, and a batch that is asked for twice is the same twice.
    """

    def __init__(self, n_images: int, side: int, seed: int, device: torch.device) -> None:
        self.padding = side // 8
        generator = torch.Generator().manual_seed(seed)
        # One column each, to be broadcast against the pixels of a line.
        offsets = torch.randint(0, 2 * self.padding + 1, (2, n_images, 1), generator=generator)
        flips = torch.randint(0, 2, (n_images, 1), generator=generator, dtype=torch.bool)
        self._down, self._right = offsets.to(device)
        self._is_flipped = flips.to(device)
        self._line = torch.arange(side, device=device)

    def apply(self, pixels: torch.Tensor, positions: slice) -> torch.Tensor:
        """The images `pixels` as they are seen at `positions` of the epoch, as many of them.

        Shape (B, 3, side, side), uint8, on the augmentation's device, in and out; `pixels` stays as it is.
        """
        rows = self._line + self._down[positions]
        line = torch.where(self._is_flipped[positions], self._line.flip(0), self._line)
        columns = line + self._right[positions]
        padded = F.pad(pixels, (self.padding,) * 4)
        # A gather of flat indices: on a CPU four times as fast as indexing with rows and columns.
        flat = (rows[:, :, None] * padded.shape[-1] + columns[:, None, :]).flatten(1)
        indices = flat[:, None].expand(-1, pixels.shape[1], -1)
        return padded.flatten(2).gather(2, indices).view(pixels.shape)
