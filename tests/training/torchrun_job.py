"""What `torchrun` starts in the test of several processes: train as `hrlm train` does, and note the losses."""

import json
import sys
from pathlib import Path

import torch

from hrlm.training.config import read_config
from hrlm.training.distributed import join
from hrlm.training.trainer import Trainer

if __name__ == "__main__":
    config = read_config(Path(sys.argv[1]))
    processes, device = join(torch.device("cpu"))
    losses: list[float] = []
    trainer = Trainer(config, device, lambda _: None, lambda *told: losses.append(told[3]), processes)
    trainer.run()
    weights = torch.cat([t.double().flatten() for t in trainer.net.state_dict().values()])
    note = {"losses": losses, "weights": [float(weights.sum()), float(weights.abs().sum())]}
    Path(f"{sys.argv[2]}.{processes.rank}.json").write_text(json.dumps(note))
    processes.leave()
