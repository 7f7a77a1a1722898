"""Where a model is opened: names of devices are checked before any work, and reach transformers."""

import pytest
import torch

import lab
from lab.cli import main
from lab.models import catalogue
from lab.models.device import device_map, first_device, known_device
from lab.models.transformers import checkpoint
from tests.kit import tiny


@pytest.fixture
def folders(tmp_path):
    """A model's folder and a pair's, written before there is a GPU."""
    return [str(tiny.write(tmp_path / kind, kind)) for kind in ("full-absorbing", tiny.DRAFTED)]


@pytest.fixture
def one_gpu(monkeypatch):
    """A machine that says it has a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)


@pytest.fixture
def maps(monkeypatch):
    """The device maps by which networks are read; all are read onto the CPU."""
    maps, plain = [], checkpoint.read_network

    def read(*arguments, device_map=None, **options):
        maps.append(device_map)
        with monkeypatch.context() as without_gpu:
            without_gpu.setattr(torch.cuda, "is_available", lambda: False)
            return plain(*arguments, **options)

    monkeypatch.setattr(checkpoint, "read_network", read)
    catalogue._trained.cache_clear()
    yield maps
    catalogue._trained.cache_clear()


@pytest.mark.parametrize("name", ["tpu", "cuda:x", "", 3.5, "mps", "meta"])
def test_device_of_no_known_kind_is_refused(name):
    with pytest.raises(ValueError, match=r"must be cpu, cuda, cuda:1 .a number. or auto"):
        known_device(name)


def test_device_that_is_not_there_is_refused(one_gpu, monkeypatch):
    assert known_device("cuda:0") == torch.device("cuda", 0)
    with pytest.raises(ValueError, match="cuda:1 is not there, there are 1"):
        known_device("cuda:1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match="torch finds no GPU; leave device out, or give cpu"):
        known_device("cuda")


def test_auto_shares_among_gpus_where_there_are_some(one_gpu, monkeypatch):
    assert device_map("auto") == device_map(None, default="auto") == "auto"
    assert device_map(None) is device_map("cpu", default="auto") is None
    assert device_map("cuda:0") == "cuda:0" and first_device("auto") == torch.device("cuda")
    assert first_device(None) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_map("auto") is device_map(None, default="auto") is None


def test_folder_and_shipped_model_are_read_onto_device(folders, one_gpu, maps):
    for device in (None, "cuda", "auto", "cpu"):
        lab.load(folders[0], device=device)
        lab.load("addition-mdlm", device=device)
    # What is the same for transformers is opened once.
    assert maps == [None, None, "cuda", "cuda", "auto", "auto"]


def test_draft_model_and_target_are_read_together(folders, one_gpu, maps):
    lab.load(folders[1], device="cuda")
    assert maps == ["cuda"]


def test_table_stays_on_cpu(one_gpu):
    assert lab.load("latin4", device="auto") is lab.load("latin4", device="cpu")
    assert lab.load("latin4").device == torch.device("cpu")
    with pytest.raises(ValueError, match="latin4 is computed on the CPU, got device 'cuda'"):
        lab.load("latin4", device="cuda")


@pytest.mark.parametrize("command", ["generate --sampler mdlm", "compare", "bench --repeats 1"])
def test_commands_refuse_device_before_any_work(command, capsys):
    assert main([*command.split(), "--task", "addition", "--device", "cuda:9"]) == 2
    assert "device cuda:9 is not there" in capsys.readouterr().err


def test_wrapped_callable_names_its_device(one_gpu):
    card = tiny.card(9, attention="full")
    assert lab.wrap(tiny.constant(1, 9), card).device == torch.device("cpu")
    assert lab.wrap(tiny.constant(1, 9), card, device="cuda").device == torch.device("cuda")
    with pytest.raises(ValueError, match="device must be"):
        lab.wrap(tiny.constant(1, 9), card, device="here")
