"""Metrics of generated images: SWD, MS-SSIM, FID, Inception score, KID, precision/recall, modes.

    python -m metrics --run=results/003-celebahq-v2-8gpus --metrics=swd,fid:10k

As a library, one function a metric on arrays (`metrics.swd`, `metrics.ms_ssim`, `metrics.fid`,
`metrics.inception_score`, `metrics.kid`, `metrics.precision_recall`, `metrics.modes`), and
`metrics.evaluator.Evaluator` for several of them in one pass over sets of images
(`metrics.image_sets`). docs/metrics.md says what each one measures, and costs.
"""
