"""Where a trial is trained: the device, its settings, and the images that lie on it."""

import ctypes
from dataclasses import dataclass

import torch
from torch.utils.dlpack import from_dlpack

from sweeper import machine
from sweeper.optimizers.stepping import bare_step, leave_out_compiler
from sweeper.training.augment import Augmentation
from sweeper.training.data import Dataset, Split


def choose(wants_gpu: bool) -> torch.device:
    """The device of a worker: the GPU that it was given, else the CPU."""
    return torch.device("cuda" if wants_gpu and torch.cuda.is_available() else "cpu")


def limit_memory(gpu_share: float) -> None:
    """Let this process take no more of its GPU's memory than its share: nothing else keeps sharers apart."""
    if 0 < gpu_share < 1 and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(gpu_share)


def name(device: torch.device) -> str:
    """The device's model, as a user would look it up."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return machine.processor()


def configure(threads: int) -> None:
    """Make this process train the same numbers every time, with `threads` threads.

    One thread gives bit-identical results from run to run; two don't. Denormal numbers are flushed to zero:
    late in training they would slow a CPU down many times over.
    """
    keep_freed_memory()
    leave_out_compiler()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def warm_up() -> None:
    """Make torch load what it would load with its first step otherwise."""
    weight = torch.zeros(1, requires_grad=True)
    weight.sum().backward()  # type: ignore[no-untyped-call]
    bare_step(torch.optim.SGD([weight]))()


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""From malloc.h."""


def keep_freed_memory() -> None:
    """Let this process use memory again that it freed, where its C library can be told (glibc).

    Else large tensors go back to the system whenever they are freed, and come back page by page, zeroed: up
    to a third of a step's time. The process stays as large as it once was.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        # A C library that has a limit of its own, 32 MiB in some, says 0 to what is above it.
        if not mallopt(_M_MMAP_THRESHOLD, 2**30):
            mallopt(_M_MMAP_THRESHOLD, 2**25)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a GPU's memory was not enough."""
    return isinstance(error, torch.OutOfMemoryError)


def total_memory(device: torch.device) -> int:
    """The bytes of memory that a GPU has; 0 for the CPU, whose memory nobody counts."""
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 0


@dataclass(frozen=True, slots=True)
class Images:
    """Some images on a device: `pixels` uint8 of shape (N, 3, S, S), `labels` int64 of shape (N,)."""

    pixels: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


class DeviceData:
    """A data set on a device. The images stay uint8 there; `batch` makes floats of those it is asked for.

    On the CPU they alias the arrays they came from, which may be shared with other processes: nothing here
    writes to them.
    """

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self.device = device
        self.n_classes = dataset.n_classes
        self.sha256 = dataset.sha256
        self.train = self._images(dataset.train)
        self.val = self._images(dataset.val)
        self._test = dataset.test
        mean, scale = torch.tensor(dataset.mean), 1 / torch.tensor(dataset.std)
        self._mean, self._scale = self._whole_image(mean), self._whole_image(scale)

    def test(self) -> Images:
        """The test images, which only the end of a final may look at: not on the device before."""
        return self._images(self._test)

    def _images(self, split: Split) -> Images:
        # from_dlpack takes read-only arrays without copying or warning; from_numpy warns.
        pixels, labels = from_dlpack(split.images), from_dlpack(split.labels)
        return Images(pixels.to(self.device), labels.to(self.device))

    def _whole_image(self, values: torch.Tensor) -> dict[torch.memory_format, torch.Tensor]:
        """A value per channel for every pixel: in a batch's own memory format, arithmetic runs along it."""
        side = self.train.pixels.shape[-1]
        image = values.reshape(1, 3, 1, 1).expand(1, 3, side, side).to(self.device)
        formats = (torch.contiguous_format, torch.channels_last)
        return {form: image.contiguous(memory_format=form) for form in formats}

    def batch(
        self,
        images: Images,
        index: torch.Tensor | slice,
        memory_format: torch.memory_format,
        augmentation: Augmentation | None = None,
        positions: slice = slice(None),
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The chosen images, normalized to mean 0 and standard deviation 1 per channel, and their labels.

        Where an `augmentation` is given, it changes the images first; `positions` are theirs in the epoch.
        Shapes (B, 3, S, S), float32, and (B,), int64.
        """
        chosen, labels = _rows(images.pixels, index), _rows(images.labels, index)
        if augmentation is not None:
            chosen = augmentation.apply(chosen, positions)
        pixels = torch.empty_like(chosen, dtype=torch.float32, memory_format=memory_format)
        if memory_format is torch.channels_last and self.device.type == "cpu":
            # All at once would be the same, and takes three times as long there.
            for channel in range(chosen.shape[1]):
                pixels[:, channel] = chosen[:, channel]
        else:
            pixels.copy_(chosen)
        return pixels.sub_(self._mean[memory_format]).mul_(self._scale[memory_format]), labels


def _rows(tensor: torch.Tensor, index: torch.Tensor | slice) -> torch.Tensor:
    """`tensor[index]`; where the index is a tensor, on a CPU in a tenth of the time."""
    return tensor[index] if isinstance(index, slice) else tensor.index_select(0, index)
