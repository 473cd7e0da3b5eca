"""Edit a picture by gradient without moving the landmarks of its face: soften it as if out of focus.

Run: python examples/landmark_consistency.py [PHOTO [OUT.png]]
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from hrlm import Detector
from hrlm.losses import LandmarkConsistency
from hrlm.photos import Photo, open_photo

STEPS, SIGMA = 25, 5.0


def blurred(image: Tensor, sigma: float) -> Tensor:
    """The picture `(1, 3, H, W)` with a Gaussian blur of `sigma` pixels."""
    reach = torch.arange(-round(3 * sigma), round(3 * sigma) + 1)
    kernel = (-(reach**2) / (2 * sigma**2)).softmax(0).expand(3, 1, 1, -1)
    pad = len(reach) // 2
    for weight, padding in ((kernel, (pad, pad, 0, 0)), (kernel.transpose(2, 3), (0, 0, pad, pad))):
        image = torch.nn.functional.conv2d(torch.nn.functional.pad(image, padding, mode="replicate"), weight, groups=3)
    return image


def edit(image: Tensor, consistency: LandmarkConsistency | None) -> Tensor:
    """Move the pixels towards the blurred picture, held back by the landmarks where told."""
    target, edited = blurred(image, SIGMA), image.clone().requires_grad_()
    # the reference is looked at once, not at every step
    landmarks = consistency.landmarks(image, consistency.find(image)).detach() if consistency else image
    optimizer = torch.optim.Adam([edited], lr=0.02)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = 100 * (edited - target).abs().mean()
        if consistency:
            loss = loss + 2 * consistency(edited, landmarks)
        loss.backward()
        optimizer.step()
        edited.data.clamp_(0, 1)
    return edited.detach()


def main() -> None:
    """Edit with and without the loss, and let the detector judge both."""
    photo = open_photo(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "photos" / "astronaut.png")
    image = torch.from_numpy(photo.pixels.copy()).permute(2, 0, 1)[None].float() / 255
    detector = Detector()
    before = detector.detect(photo, faces="largest")[0]
    scale = detector.scheme.inter_ocular(before.landmarks)
    for name, consistency in (("without", None), ("with", LandmarkConsistency(levels=0))):
        edited = edit(image, consistency)
        left = float((edited - blurred(image, SIGMA)).abs().mean() / (image - blurred(image, SIGMA)).abs().mean())
        pixels = (edited[0].permute(1, 2, 0) * 255).round().byte().numpy()
        after = detector.detect(Photo.from_array(pixels), faces="largest")
        moved = 100 * ((after[0].landmarks - before.landmarks) ** 2).sum(-1) ** 0.5 / scale if after else None
        told = "the face is no longer found" if moved is None else f"landmarks moved by {moved.mean():.2f} %"
        print(f"{name} the loss: {100 * (1 - left):.0f} % of the way to the blurred picture, {told}")
    if len(sys.argv) > 2:
        Image.fromarray(pixels).save(sys.argv[2])


if __name__ == "__main__":
    main()
