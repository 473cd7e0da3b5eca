import math
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import grid_sample

from hrlm.geometry import CropTransform, bounding_box, box_overlap, face_crop, resize_points, rotation_matrix

DOUBLE = torch.float64
near = st.floats(-3000, 3000)


@st.composite
def crops(draw: st.DrawFn, count: int = 3) -> CropTransform:
    def many(each: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(each, min_size=count, max_size=count))

    return CropTransform.make(
        torch.tensor(many(st.tuples(near, near)), dtype=DOUBLE),
        torch.tensor(many(st.floats(1, 5000)), dtype=DOUBLE),
        draw(st.integers(8, 512)),
        torch.tensor(many(st.floats(-math.pi, math.pi)), dtype=DOUBLE),
        torch.tensor(many(st.booleans())),
    )


def some_points(seed: int, *shape: int) -> Tensor:
    return 500 * torch.randn(*shape, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


seeds = st.integers(0, 2**31)


@given(st.floats(0.01, 100), seeds)
def test_resizing_there_and_back_changes_nothing(ratio: float, seed: int) -> None:
    points = some_points(seed, 4)
    assert torch.allclose(resize_points(resize_points(points, ratio), 1 / ratio), points, atol=1e-8)


@given(st.integers(1, 500), st.integers(1, 500))
def test_resizing_keeps_the_images_edges(old: int, new: int) -> None:
    # an image covers -0.5 to its size less 0.5, before and after
    edges = torch.tensor([[-0.5, -0.5], [old - 0.5, old - 0.5]], dtype=DOUBLE)
    expected = torch.tensor([[-0.5, -0.5], [new - 0.5, new - 0.5]], dtype=DOUBLE)
    assert torch.allclose(resize_points(edges, new / old), expected)


def test_halving_puts_a_pixel_between_the_two_it_came_from() -> None:
    assert resize_points(torch.tensor([[0.5, 2.5]]), 0.5).tolist() == [[0.0, 1.0]]


def test_a_rotation_turns_clockwise_as_seen() -> None:
    right = torch.tensor([1.0, 0.0], dtype=DOUBLE)
    down = rotation_matrix(torch.tensor(math.pi / 2, dtype=DOUBLE)) @ right
    assert torch.allclose(down, torch.tensor([0.0, 1.0], dtype=DOUBLE), atol=1e-12)


@given(crops(), seeds)
def test_photo_to_crop_and_back(crop: CropTransform, seed: int) -> None:
    points = some_points(seed, 3, 5)
    assert torch.allclose(crop.to_photo(crop.to_crop(points)), points, atol=1e-7)
    assert torch.allclose(crop.to_crop(crop.to_photo(points)), points, atol=1e-7)


@given(crops(), seeds)
def test_a_crop_is_a_similarity(crop: CropTransform, seed: int) -> None:
    points = some_points(seed, 3, 4)
    moved = crop.to_photo(points)
    for a, b in ((0, 1), (1, 2), (2, 3)):
        before, after = (points[:, a] - points[:, b]).norm(dim=-1), (moved[:, a] - moved[:, b]).norm(dim=-1)
        assert torch.allclose(after, before * crop.side / crop.size)
    signs = torch.where(crop.mirrored, -1.0, 1.0).to(DOUBLE)
    assert torch.allclose(torch.linalg.det(crop.linear), signs * crop.scale**2)


@given(crops())
def test_the_crops_middle_is_its_centre_and_its_edges_are_half_a_side_away(crop: CropTransform) -> None:
    corners = crop.corners()
    assert torch.allclose(corners.mean(1), crop.centre, atol=1e-7)
    assert torch.allclose((corners - crop.centre[:, None]).norm(dim=-1), crop.side[:, None] / math.sqrt(2))


def test_an_upright_crop_by_hand() -> None:
    crop = CropTransform.make(torch.tensor([[10.0, 20.0]]), torch.tensor([8.0]), 4)
    # two photo pixels per crop pixel; the crop covers 6 to 14 across
    assert crop.to_photo(torch.tensor([[[0.0, 0.0], [1.5, 1.5], [3.0, 0.0]]])).tolist() == [
        [[7.0, 17.0], [10.0, 20.0], [13.0, 17.0]]
    ]
    mirrored = CropTransform.make(crop.centre, crop.side, 4, mirrored=torch.tensor([True]))
    assert mirrored.to_photo(torch.tensor([[[0.0, 0.0]]])).tolist() == [[[13.0, 17.0]]]


@given(st.floats(-math.pi, math.pi))
def test_a_face_rolled_by_the_crops_angle_stands_upright(angle: float) -> None:
    roll = torch.tensor([angle], dtype=DOUBLE)
    eyes = (rotation_matrix(roll) @ torch.tensor([[-30.0, 30.0], [0.0, 0.0]], dtype=DOUBLE)).transpose(-1, -2) + 100
    crop = CropTransform.make(
        torch.tensor([[100.0, 100.0]], dtype=DOUBLE), torch.tensor([90.0], dtype=DOUBLE), 64, roll
    )
    right, left = crop.to_crop(eyes)[0]
    assert right[1] == pytest.approx(float(left[1]), abs=1e-9)
    assert left[0] > right[0]


@given(crops(), st.integers(8, 512), seeds)
def test_another_size_shows_the_same_square(crop: CropTransform, size: int, seed: int) -> None:
    other = crop.resized(size)
    points = some_points(seed, 3, 4)
    # what resizing the crop's picture would do to its points
    assert torch.allclose(resize_points(crop.to_crop(points), size / crop.size), other.to_crop(points), atol=1e-6)
    assert torch.allclose(crop.corners(), other.corners(), atol=1e-7)


@given(crops(), st.tuples(st.integers(-900, 900), st.integers(-900, 900)), st.integers(1, 9), seeds)
def test_a_reduced_window_shows_the_same_through_the_crop(
    crop: CropTransform, origin: tuple[int, int], factor: int, seed: int
) -> None:
    points = some_points(seed, 3, 4)
    in_window = resize_points(points - torch.tensor(origin, dtype=DOUBLE), 1 / factor)
    assert torch.allclose(crop.reduced_photo(origin, factor).to_crop(in_window), crop.to_crop(points), atol=1e-6)


@given(crops(1), crops(1), seeds)
def test_a_crop_of_a_crop_is_a_similarity_again(outer: CropTransform, inner: CropTransform, seed: int) -> None:
    a, b, origin = some_points(seed, 1, 2)[:, :1], some_points(seed + 1, 1, 1), torch.zeros(1, 1, 2, dtype=DOUBLE)

    def through(points: Tensor) -> Tensor:
        return outer.to_photo(inner.to_photo(points))

    linear = outer.linear @ inner.linear
    assert torch.allclose(through(a) - through(origin), a @ linear.transpose(-1, -2), rtol=1e-6, atol=1e-5)
    assert torch.allclose(through(a + b) - through(b), through(a) - through(origin), rtol=1e-6, atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(crops(1), seeds)
def test_covariance_moves_as_finite_samples_do(crop: CropTransform, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(2, 2, dtype=DOUBLE, generator=generator)
    samples = torch.randn(400, 2, dtype=DOUBLE, generator=generator) @ mix
    before, after = torch.cov(samples.T), torch.cov(crop.to_photo(samples[None])[0].T)
    moved = crop.covariance_to_photo(before[None, None])[0, 0]
    assert torch.allclose(moved, after, rtol=1e-6, atol=1e-7 * float(after.abs().max()))


def test_covariance_of_a_quarter_turn_by_hand() -> None:
    crop = CropTransform.make(
        torch.zeros(1, 2, dtype=DOUBLE),
        torch.tensor([30.0], dtype=DOUBLE),
        10,
        torch.tensor([math.pi / 2], dtype=DOUBLE),
    )
    wide = torch.tensor([[[[4.0, 0.0], [0.0, 1.0]]]], dtype=DOUBLE)
    tall = torch.tensor([[[[9.0, 0.0], [0.0, 36.0]]]], dtype=DOUBLE)
    assert torch.allclose(crop.covariance_to_photo(wide), tall)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(4, 24),
    st.floats(10, 40),
    st.floats(10, 30),
    st.floats(4, 30),
    st.floats(-math.pi, math.pi),
    st.booleans(),
    st.integers(1, 3),
)
def test_the_grid_samples_where_the_transform_says(
    size: int, x: float, y: float, side: float, angle: float, mirrored: bool, oversample: int
) -> None:
    width, height = 60, 41
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    # each pixel's colour is its own place, so bilinear sampling reads the place back
    photo = torch.stack([columns, rows])[None].to(DOUBLE)
    crop = CropTransform.make(
        torch.tensor([[x, y]], dtype=DOUBLE),
        torch.tensor([side], dtype=DOUBLE),
        size,
        torch.tensor([angle], dtype=DOUBLE),
        torch.tensor([mirrored]),
    )
    seen = grid_sample(photo, crop.grid(width, height, oversample), align_corners=False, padding_mode="border")
    steps = (torch.arange(size * oversample, dtype=DOUBLE) + 0.5) / oversample - 0.5
    down, across = torch.meshgrid(steps, steps, indexing="ij")
    places = crop.to_photo(torch.stack([across, down], -1).reshape(1, -1, 2)).reshape(*seen.shape[-2:], 2)
    inside = ((places >= 0) & (places <= torch.tensor([width - 1, height - 1]))).all(-1)
    assume(bool(inside.any()))
    assert torch.allclose(seen[0].permute(1, 2, 0)[inside], places[inside], atol=1e-6)


def test_a_crop_of_the_whole_image_is_the_image() -> None:
    image = torch.randn(1, 3, 16, 16, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
    centre, side = torch.tensor([[7.5, 7.5]], dtype=DOUBLE), torch.tensor([16.0], dtype=DOUBLE)
    plain, mirrored = (
        grid_sample(
            image, CropTransform.make(centre, side, 16, mirrored=torch.tensor([m])).grid(16, 16), align_corners=False
        )
        for m in (False, True)
    )
    assert torch.allclose(plain, image, atol=1e-9)
    assert torch.allclose(mirrored, image.flip(-1), atol=1e-9)


@given(crops(4))
def test_batches_are_cut_and_joined_crop_by_crop(crop: CropTransform) -> None:
    points = some_points(0, 4, 2)
    joined = CropTransform.cat([crop[:1], crop[[1, 2]], crop[torch.tensor([3])]])
    assert len(joined) == 4
    assert torch.equal(joined.to_photo(points), crop.to_photo(points))


def test_gradients_flow_to_where_a_crop_looks() -> None:
    centre = torch.tensor([[5.0, 6.0]], requires_grad=True)
    side = torch.tensor([8.0], requires_grad=True)
    crop = CropTransform.make(centre, side, 4)
    crop.to_photo(torch.tensor([[[3.0, 3.0]]])).sum().backward()
    assert centre.grad is not None
    assert centre.grad.tolist() == [[1.0, 1.0]]
    assert side.grad is not None
    # 1.5 crop pixels off the middle, each a quarter of the side, in x and in y
    assert side.grad.tolist() == [pytest.approx(0.75)]
    assert not crop.detach().centre.requires_grad


@given(st.floats(-math.pi, math.pi), st.floats(1, 3), st.floats(20, 500), seeds)
def test_a_face_crop_is_upright_and_holds_the_landmarks_with_its_margin(
    angle: float, margin: float, scale: float, seed: int
) -> None:
    shape = torch.rand(1, 20, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))
    shape[:, :2] = torch.tensor([[0.1, 0.3], [0.9, 0.3]])
    turn = rotation_matrix(torch.tensor([angle], dtype=DOUBLE))
    points = scale * shape @ turn.transpose(-1, -2) + 40
    crop = face_crop(points, (0, 1), 128, margin)
    seen = crop.to_crop(points)
    assert float(seen[0, 0, 1]) == pytest.approx(float(seen[0, 1, 1]), abs=1e-6)
    assert float(seen[0, 1, 0]) > float(seen[0, 0, 0])
    low, high = bounding_box(seen)
    assert torch.allclose((low + high) / 2, torch.full((1, 2), 63.5, dtype=DOUBLE), atol=1e-6)
    assert float((high - low).max()) == pytest.approx(128 / margin)


boxes = st.tuples(near, near, st.floats(1, 900), st.floats(1, 900))


@given(boxes, boxes)
def test_overlap_is_a_symmetric_share(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    overlap = box_overlap(a, b)
    assert 0 <= overlap <= 1 + 1e-9
    assert overlap == pytest.approx(box_overlap(b, a))
    assert box_overlap(a, a) == pytest.approx(1)


@given(
    st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(1, 12)] * 2),
    st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(1, 12)] * 2),
)
def test_overlap_counts_the_shared_pixels(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    def cells(box: tuple[int, ...]) -> set[tuple[int, int]]:
        return {(x, y) for x in range(box[0], box[0] + box[2]) for y in range(box[1], box[1] + box[3])}

    assert box_overlap(a, b) == pytest.approx(len(cells(a) & cells(b)) / len(cells(a) | cells(b)))
