"""Arrays merged and split, and requests that fill batches, apart from any model."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gannet_serving.batching.merging import count_rows, merge, merging_key, split
from gannet_serving.batching.parameters import BatchingParameters
from gannet_serving.batching.queue import Member, Queue
from gannet_serving.callers import UNHURRIED
from gannet_serving.status import StatusError

FAR = 1e12


@st.composite
def parts(draw: st.DrawFn) -> list[np.ndarray]:
    """Arrays of one dtype and inner shape."""
    inner = tuple(draw(st.lists(st.integers(0, 3), max_size=3)))
    dtype = draw(st.sampled_from(["float32", "int64", "bool", "uint8", "object"]))
    elements = st.binary(max_size=3) if dtype == "object" else None
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    return [draw(hnp.arrays(dtype, (size, *inner), elements=elements)) for size in sizes]


@given(parts(), st.integers(0, 5))
def test_what_is_merged_and_split_is_what_it_was(arrays: list[np.ndarray], padding: int) -> None:
    sizes = [len(array) for array in arrays]
    size = sum(sizes) + padding
    merged = merge(arrays, size)
    assert len(merged) == size
    for array, own in zip(arrays, split(merged, sizes, size), strict=True):
        np.testing.assert_array_equal(own, array, strict=True)
    for row in merged[sum(sizes) :]:
        np.testing.assert_array_equal(row, arrays[-1][0])


@given(st.lists(hnp.arrays("int32", hnp.array_shapes(min_dims=3, max_dims=3, max_side=4)), min_size=1))
def test_smaller_ones_are_filled_up_with_their_first_element(arrays: list[np.ndarray]) -> None:
    sizes = [len(array) for array in arrays]
    merged = merge(arrays, sum(sizes))
    assert merged.shape[1:] == tuple(np.max([array.shape[1:] for array in arrays], axis=0))
    for array, own in zip(arrays, split(merged, sizes, sum(sizes)), strict=True):
        expected = np.full_like(own, array.flat[0])
        expected[:, : array.shape[1], : array.shape[2]] = array
        np.testing.assert_array_equal(own, expected)


def test_one_array_is_not_copied() -> None:
    array = np.ones((2, 3))
    assert merge([array], 2) is array


@pytest.mark.parametrize(
    ("first", "second", "shape", "filling", "are_merged"),
    [
        ((1, 3), (4, 3), (None, 3), False, True),
        ((1, 3), (1, 2), (None, None), False, False),
        ((1, 3), (1, 2), (None, None), True, True),
        ((1, 3), (1, 2), (None, 3), True, False),
        ((1, 3), (1, 3, 1), (None, None), True, False),
        ((1, 3), (1, 3), None, True, True),
        ((1, 3), (1, 2), None, True, False),
        ((1, 3), (1, 0), (None, None), True, False),
        ((3,), (1,), (None,), False, True),
    ],
)
def test_which_shapes_go_together(
    first: Any, second: Any, shape: Any, filling: bool, are_merged: bool
) -> None:
    keys = [merging_key(np.zeros(size), shape, filling=filling) for size in (first, second)]
    assert (keys[0] == keys[1]) is are_merged


@pytest.mark.parametrize(
    ("shapes", "refusal"),
    [
        ([], "Batching Run() must have at least one input tensor"),
        ([(2,), ()], "Batching Run() input tensors must have at least one dimension"),
        ([(2, 3), (3, 3)], "Batching Run() input tensors must have equal 0th-dimension size"),
    ],
)
def test_inputs_that_are_no_batch(shapes: list[Any], refusal: str) -> None:
    with pytest.raises(StatusError) as caught:
        count_rows([np.zeros(shape) for shape in shapes])
    assert str(caught.value) == f"INVALID_ARGUMENT: {refusal}"


@pytest.mark.parametrize(
    ("output", "refusal"),
    [
        (np.float32(1), "Batched output tensor has 0 dimensions"),
        (
            np.zeros(3),
            "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
            "input tensors",
        ),
    ],
)
def test_outputs_that_are_no_batch(output: Any, refusal: str) -> None:
    with pytest.raises(StatusError) as caught:
        split(np.asarray(output), [1, 1], 2)
    assert str(caught.value) == f"FAILED_PRECONDITION: {refusal}"


def queue_of(**parameters: Any) -> Queue:
    return Queue(Member(), BatchingParameters(**parameters), lambda tasks: None)


def put(queue: Queue, rows: int) -> list[Any]:
    return queue.put([np.arange(rows)], rows, UNHURRIED)


def sizes_of(queue: Queue) -> list[list[int]]:
    """The rows of each task of each batch that is there."""
    sizes = []
    while tasks := queue.take(FAR):
        sizes.append([task.rows for task in tasks])
    return sizes


def test_requests_fill_a_batch_until_one_does_not_fit() -> None:
    queue = queue_of(max_batch_size=4)
    for rows in (1, 2, 2, 4):
        put(queue, rows)
    assert len(queue) == 4
    assert sizes_of(queue) == [[1, 2], [2], [4]]
    assert len(queue) == 0


def test_a_batch_waits_for_its_time_or_until_it_is_full() -> None:
    queue = queue_of(max_batch_size=4, batch_timeout_micros=10_000_000)
    assert queue.ready_at() == float("inf")
    [first] = put(queue, 1)
    assert queue.ready_at() == first.since + 10
    assert queue.take(first.since + 9.9) is None
    put(queue, 3)
    assert queue.take(first.since) is not None


def test_a_version_that_leaves_waits_no_longer() -> None:
    member = Member()
    queue = Queue(member, BatchingParameters(batch_timeout_micros=10**15), lambda tasks: None)
    [task] = put(queue, 1)
    assert queue.take(task.since) is None
    member.is_leaving = True
    assert queue.take(task.since) == [task]


def test_a_full_queue_refuses() -> None:
    queue = queue_of(max_batch_size=4, max_enqueued_batches=2)
    for _ in range(8):
        put(queue, 1)
    with pytest.raises(StatusError) as caught:
        put(queue, 1)
    assert str(caught.value) == (
        "UNAVAILABLE: The batch scheduling queue to which this task was submitted is full; "
        "currently 2 batches enqueued and max_enqueued_batches is 2"
    )
    queue.take(FAR)
    put(queue, 1)


def test_a_task_that_is_dropped_makes_room() -> None:
    queue = queue_of(max_batch_size=2, max_enqueued_batches=1)
    [task] = put(queue, 2)
    assert queue.drop(task)
    assert not queue.drop(task)
    put(queue, 2)


def test_a_batch_of_which_nothing_is_left_makes_room() -> None:
    queue = queue_of(max_batch_size=2, max_enqueued_batches=2)
    [first] = put(queue, 2)
    put(queue, 2)
    queue.drop(first)
    put(queue, 2)
    assert sizes_of(queue) == [[2], [2]]


@given(st.lists(st.integers(1, 20), min_size=1, max_size=8), st.integers(1, 20))
def test_large_requests_are_spread_over_full_batches(requests: list[int], size: int) -> None:
    queue = queue_of(
        max_batch_size=20,
        enable_large_batch_splitting=True,
        max_execution_batch_size=size,
        max_enqueued_batches=1000,
    )
    for rows in requests:
        tasks = put(queue, rows)
        assert np.concatenate([task.values[0] for task in tasks]).tolist() == list(range(rows))
    batches = [sum(batch) for batch in sizes_of(queue)]
    assert sum(batches) == sum(requests)
    assert set(batches[:-1]) <= {size}


def test_a_full_queue_refuses_a_large_request_as_a_whole() -> None:
    queue = queue_of(
        max_batch_size=20,
        enable_large_batch_splitting=True,
        max_execution_batch_size=4,
        max_enqueued_batches=2,
    )
    put(queue, 3)
    with pytest.raises(StatusError) as caught:
        put(queue, 6)
    assert str(caught.value) == (
        "UNAVAILABLE: The batch scheduling queue to which this task was submitted is full; task size is 6 "
        "but scheduling capacity is only 5 (num_enqueued_batches=1, max_enqueued_batches=2, "
        "open_batch_size=3, max_execution_batch_size=4)"
    )
    put(queue, 5)
    assert sizes_of(queue) == [[3, 1], [4]]
