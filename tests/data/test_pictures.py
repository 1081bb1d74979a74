"""Pictures of a batch are the same whoever prepares them."""

import torch
from hydra.utils import instantiate


def test_workers_do_not_change_the_pictures(make_cfg):
    trainer, batches = instantiate(make_cfg().trainer), []
    for workers in (0, 2):
        datamodule = instantiate(make_cfg("augmentation=occlusion", f"data.num_workers={workers}").data)
        datamodule.trainer = trainer
        datamodule.setup("fit")
        batches.append(torch.cat([batch.images for batch in datamodule.train_dataloader()]))
    assert torch.equal(*batches)
    trainer.fit_loop.epoch_progress.current.completed = 1  # what Trainer.current_epoch returns
    assert not torch.equal(batches[0], torch.cat([batch.images for batch in datamodule.train_dataloader()]))
