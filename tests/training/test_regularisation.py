"""Parts of the training loop by themselves: the max-pool head, blended weights, distillation."""

import pytest
from tiny import TINY

torch = pytest.importorskip("torch")

from crackcli.networks import vgg11
from crackcli.training.regularisation import (
    MaxPoolHead,
    blended,
    distillation_loss,
)


def test_a_max_pool_head_learns_a_feature_at_any_position():
    torch.manual_seed(0)
    cells = torch.rand(64, 6, 4, 4)
    labels = torch.arange(64) % 2
    cells[labels == 1, 2, :, 0] += 1.0  # one feature, in one column
    head = MaxPoolHead(6, 2)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.05)

    for _ in range(100):
        loss = torch.nn.functional.cross_entropy(head(cells), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    assert (head(cells).argmax(dim=1) == labels).float().mean() > 0.95
    assert torch.equal(head(cells), head(cells.flip(2, 3)))


def test_blended_weights_are_interpolated():
    torch.manual_seed(3)
    chain, origin = (vgg11.build(**TINY) for _ in range(2))

    quarter = blended(chain, origin, 0.25)

    for mixed, last, first in zip(
        quarter.parameters(), chain.parameters(), origin.parameters(), strict=True
    ):
        torch.testing.assert_close(mixed, 0.75 * last + 0.25 * first)
    assert not torch.equal(next(quarter.parameters()), next(chain.parameters()))


def test_distillation_keeps_earlier_answers_that_were_right_and_no_others():
    earlier = torch.tensor([[2.0, -1.0], [0.5, 0.7]])
    right, wrong = torch.tensor([0, 1]), torch.tensor([1, 0])
    moved = torch.tensor([[0.0, 1.0], [1.0, 0.0]])

    assert distillation_loss(earlier, earlier, right).item() == pytest.approx(0, abs=1e-6)
    assert distillation_loss(earlier + 3, earlier, right).item() == pytest.approx(
        0, abs=1e-6
    )  # same P
    assert distillation_loss(moved, earlier, right).item() > 0.3
    assert distillation_loss(moved, earlier, wrong).item() == 0
