"""What faces are like, and where annotators put landmarks on them: the last word on what the levels have found.

A level looks at each landmark on its own. Together they make a face: landmarks are drawn towards a shape that faces
have, the more the less sure they are (a Gaussian over shapes, as probabilistic principal components: Tipping and Bishop
1999; as in Saragih, Lucey and Cohn, Deformable model fitting by regularized landmark mean-shift, 2011). And annotators
have habits that a network cannot learn which also sees every face mirrored: who places every point a little to the
right, teaches it the middle. What is left of a landmark's distance from its labels follows linearly from the shape, and
is added.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hrlm.schemes import Scheme

# a ridge regression's penalty, a face, in squared units of the normaliser
RIDGE = 3e-3
# of a component's standard deviation: no shape is taken to be further out where habits are told by it
FURTHEST = 3.0
# of the variance that levels state: it says how far labels lie from a landmark, and only this much of that is the
# levels' own doubt, the rest the labels'
OWN_DOUBT = 0.3
ALIGNING_ROUNDS = 5


class ShapeModel(nn.Module):
    """A Gaussian over the shapes of N landmarks, and habits of those who labelled them.

    Shapes are as `align` makes them: of the mean shape's size, place and roll, whose normaliser has the distance 1.

    Args:
        scheme: the landmarks.
        modes: K, principal components.
    """

    mean: Tensor
    modes: Tensor
    noise: Tensor
    habit: Tensor
    habit_by_shape: Tensor
    variance_scale: Tensor

    def __init__(self, scheme: Scheme, modes: int) -> None:
        super().__init__()
        n = len(scheme)
        self._normaliser, self._mirror = scheme.normaliser, list(scheme.mirror)
        self.register_buffer("mean", torch.zeros(n, 2))
        # columns as long as a standard deviation; each coordinate has `noise` of variance beside
        self.register_buffer("modes", torch.zeros(2 * n, modes))
        self.register_buffer("noise", torch.ones(()))
        # of the global network alone, and of the full system
        self.register_buffer("habit", torch.zeros(2, n, 2))
        self.register_buffer("habit_by_shape", torch.zeros(2, modes, 2 * n))
        self.register_buffer("variance_scale", torch.ones(2))

    def forward(self, points: Tensor, covariance: Tensor, full: bool, habits: bool = True) -> tuple[Tensor, Tensor]:
        """Landmarks `(B, N, 2)` and covariance `(B, N, 2, 2)` in photo pixels, float64, as an annotator would put them.

        Args:
            points, covariance: what the levels found.
            full: whether the full system found it, or the global network alone.
            habits: whether the annotators' habits are added, or only a face is made of it.
        """
        points, covariance = self.draw(points, covariance)
        points = self._add_habits(points, full) if habits else points
        return points, covariance * self.variance_scale[int(full)].to(covariance)

    def draw(self, points: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
        """The landmarks and covariance that most likely make a face of what the levels found, float64."""
        points, covariance = points.double(), covariance.double()
        count, mean = points.shape[1], self.mean.to(points)
        frame, middle = align(points, mean)
        seen = ((points - middle) @ frame - mean).flatten(1)
        unsure = points.new_zeros(len(points), count, 2, count, 2)
        every = torch.arange(count, device=points.device)
        own = frame.mT[:, None] @ (OWN_DOUBT * covariance) @ frame[:, None]
        unsure[:, every, :, every] = own.transpose(0, 1)
        modes = self.modes.to(points)
        usual = modes @ modes.T + self.noise.to(points) * torch.eye(2 * count, dtype=points.dtype, device=points.device)
        gain = torch.linalg.solve(usual + unsure.flatten(1, 2).flatten(2, 3), usual.expand(len(points), -1, -1)).mT
        shape = (gain @ seen[..., None])[..., 0].unflatten(1, (count, 2)) + mean
        left = (usual - gain @ usual).unflatten(1, (count, 2)).unflatten(3, (count, 2))
        left = left[:, every, :, every].transpose(0, 1)
        back = torch.linalg.inv(frame)
        return shape @ back + middle, back.mT[:, None] @ left @ back[:, None]

    def _add_habits(self, points: Tensor, full: bool) -> Tensor:
        level = int(full)
        frame, middle = align(points, self.mean.to(points))
        by_shape = self._components((points - middle) @ frame) @ self.habit_by_shape[level].to(points)
        habit = self.habit[level].to(points) + by_shape.unflatten(1, (-1, 2))
        return points + habit @ torch.linalg.inv(frame)

    def _components(self, shapes: Tensor) -> Tensor:
        """How far aligned shapes `(B, N, 2)` lie along the components, `(B, K)` in their standard deviations."""
        modes = self.modes.to(shapes)
        along = (shapes - self.mean.to(shapes)).flatten(1) @ modes / modes.square().sum(0).clamp_min(1e-12)
        return along.clamp(-FURTHEST, FURTHEST)

    def fit(self, shapes: Tensor) -> None:
        """Learn the Gaussian, in which a face and its mirror image are equally likely.

        Args:
            shapes: `(F, N, 2)` labelled faces in pixels of any kind; 2 F above K.
        """
        shapes = shapes.double()
        shapes = torch.cat([shapes, shapes[:, self._mirror] * shapes.new_tensor([-1.0, 1.0])])
        # a mean shape that is level, so that the first round aligns well
        self.mean.copy_(_normalised((shapes - shapes.mean(1, keepdim=True))[0], self._normaliser))
        for _ in range(ALIGNING_ROUNDS):
            frame, middle = align(shapes, self.mean.to(shapes))
            self.mean.copy_(_normalised(((shapes - middle) @ frame).mean(0), self._normaliser))
        frame, middle = align(shapes, self.mean.to(shapes))
        own = ((shapes - middle) @ frame).flatten(1)
        own = own - own.mean(0)
        _, deviations, axes = torch.linalg.svd(own / len(own) ** 0.5, full_matrices=False)
        kept = self.modes.shape[1]
        # place, size and roll are aligned away: four coordinates less
        self.noise.copy_(deviations[kept:].square().sum() / max(1, own.shape[1] - 4 - kept))
        spread = (deviations[:kept].square() - self.noise).clamp_min(0).sqrt()
        self.modes.copy_((axes[:kept] * spread[:, None]).T)

    def fit_habits(self, points: Tensor, labels: Tensor, visible: Tensor, full: bool) -> None:
        """Learn what is systematic in the labels' distance from what is found, by ridge regression on the shape.

        Args:
            points: `(F, N, 2)` in photo pixels, as of `draw`.
            labels: `(F, N, 2)` in photo pixels.
            visible: `(F, N)`, above 0 for landmarks that are labelled. One that never is keeps the habit that it has.
            full: as of `forward`.
        """
        points = points.double()
        frame, middle = align(points, self.mean.to(points))
        along = self._components((points - middle) @ frame)
        left = (labels.double() - points) @ frame
        known = torch.cat([along, along.new_ones(len(along), 1)], 1)
        # as on the shape itself: what varies less costs more; the constant costs nothing
        cost = RIDGE / self.modes.to(points).square().sum(0).clamp_min(1e-12)
        cost = torch.cat([cost, cost.new_zeros(1)])
        by_shape, habit = self.habit_by_shape[int(full)], self.habit[int(full)]
        for landmark in range(points.shape[1]):
            own = visible[:, landmark] > 0
            if not own.any():
                continue
            rows = known[own]
            solved = torch.linalg.solve(rows.T @ rows + (len(rows) * cost).diag(), rows.T @ left[own, landmark])
            by_shape[:, 2 * landmark : 2 * landmark + 2] = solved[:-1]
            habit[landmark] = solved[-1]


def align(points: Tensor, shape: Tensor) -> tuple[Tensor, Tensor]:
    """The similarity transforms that bring faces onto a shape, by least squares.

    Args:
        points: `(B, N, 2)`.
        shape: `(N, 2)` about 0.

    Returns:
        Frames `(B, 2, 2)` and middles `(B, 1, 2)`: `(points - middles) @ frames` lie on the shape as well as they can.
    """
    middle = points.mean(1, keepdim=True)
    own = points - middle
    size = own.square().sum((1, 2)).clamp_min(1e-12)
    along = (own * shape).sum((1, 2)) / size
    turned = (own[..., 0] * shape[:, 1] - own[..., 1] * shape[:, 0]).sum(1) / size
    return torch.stack([torch.stack([along, turned], -1), torch.stack([-turned, along], -1)], 1), middle


def _normalised(shape: Tensor, normaliser: Sequence[int]) -> Tensor:
    """A shape `(N, 2)` about 0, turned and scaled until its normaliser runs level to the right and has the length 1."""
    x, y = (shape[normaliser[1]] - shape[normaliser[0]]).unbind()
    return (shape - shape.mean(0)) @ (torch.stack([torch.stack([x, -y]), torch.stack([y, x])]) / (x * x + y * y))
