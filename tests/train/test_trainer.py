"""The loop: the moving average, the learning rate, what a resumed run must share."""

import pytest
import torch

from lab.train.settings import TrainSettings
from lab.train.trainer import Progress, check_resume, learning_rate, moving_average


def test_average_mixes_from_first_step():
    """Decay min(0.9, (1 + step) / (10 + step)): 1/10 after step 0, 2/11 after step 1."""
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(layer.weight, 0.0)
    average = moving_average(layer, 0.9, torch.device("cpu"))
    expected = 0.0
    for step, value in enumerate((1.0, 3.0, 2.0)):
        torch.nn.init.constant_(layer.weight, value)
        average.update_parameters(layer)
        decay = (1 + step) / (10 + step)
        expected = decay * expected + (1 - decay) * value
        assert average.module.weight.item() == pytest.approx(expected, abs=1e-6)


def test_rate_rises_stays_and_falls(tmp_path):
    settings = TrainSettings(work=tmp_path, steps=100, warmup=10, decay=0.5, learning_rate=1.0)
    progress, rates = Progress(), []
    for progress.step in range(101):
        rates.append(learning_rate(settings, progress))
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[50] == 1.0
    assert rates[:10] == sorted(rates[:10]) and rates[50:] == sorted(rates[50:], reverse=True)
    assert rates[100] == pytest.approx(0.02)


def test_resumed_run_has_settings_of_its_start(tmp_path):
    check_resume(tmp_path / "run", {"seed": 0, "lengths": (1, 2)}, resume=False)
    check_resume(tmp_path / "run", {"seed": 0, "lengths": (1, 2)}, resume=True)
    with pytest.raises(ValueError, match="seed was 0, is 3; repeat the first command"):
        check_resume(tmp_path / "run", {"seed": 3, "lengths": (1, 2)}, resume=True)
    with pytest.raises(ValueError, match="already holds a run"):
        check_resume(tmp_path / "run", {"seed": 0}, resume=False)
    check_resume(tmp_path / "run", {"seed": 0, "lengths": (1, 2), "fills": 4}, resume=True)
    with pytest.raises(ValueError, match="fills was 4, is 5"):
        check_resume(tmp_path / "run", {"seed": 0, "lengths": (1, 2), "fills": 5}, resume=True)
