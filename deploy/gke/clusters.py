"""The example of docs/kubernetes.md: a cluster with a pool of nodes each for the head, CPU workers and GPU workers.

    leman cluster render deploy/gke/clusters.py:features > deploy/gke/raycluster.yaml
    leman cluster render deploy/gke/clusters.py:nightly  > deploy/gke/job/rayjob.yaml

`leman` is the image's name that kustomization.yaml replaces by yours.
"""

from leman.cluster import KubeRayClusterBuilder, SecretKeyRef

IO = {"LANCE_IO_THREADS": "16"}

features = (
    KubeRayClusterBuilder.create("features")
    .namespace("leman")
    .trusted_keys("leman-keys")
    .head_group(image="leman", env_vars=IO)
    .add_worker_group(KubeRayClusterBuilder.cpu_worker().cpus(5).memory("18Gi").spot().max_replicas(60).env_vars(IO))
    .add_worker_group(
        KubeRayClusterBuilder.gpu_worker()
        .cpus(8)
        .memory("32Gi")
        .accelerator("nvidia-l4")
        .replicas(0)
        .max_replicas(8)
        .idle_timeout_seconds(300)
        .env_vars({**IO, "HF_TOKEN": SecretKeyRef("hugging-face", "token")})
    )
    .build()
)

nightly = features.job("nightly", "leman backfill gs://BUCKET/db texts embedding --concurrency 64", retries=2)
