"""What depends on the data before the first iteration."""

from pgtf.dataset import pipeline

NUM_REALS = 500  # original Theano release


def initialize_discrimination(D, config, dataset):
    """Fits D's minibatch discrimination, if it has any, to the first reals of the run."""
    if config.D.mbdisc_kernels is None:
        return
    first = config.schedule.at(0)
    num = min(NUM_REALS, dataset.num_images)  # no image twice: its nearest would be itself
    num -= num % config.D.group_of(num)
    batches = pipeline.batches(
        dataset,
        resolution_log2=first.resolution.bit_length() - 1,
        minibatch=num,
        seed=config.training.seed,
    )
    images, _ = next(iter(batches))
    D.initialize_discrimination(pipeline.process_reals(images, first.alpha), first.lod)
