"""Clusters that the tests of manifests, of the command line and of the API server share."""

from __future__ import annotations

from leman.cluster import KubeRayCluster, KubeRayClusterBuilder, SecretKeyRef

IMAGE = "registry.example.com/leman:1.0"


def smallest() -> KubeRayCluster:
    """All by default."""
    return (
        KubeRayClusterBuilder.create("smallest")
        .head_group(image=IMAGE)
        .add_worker_group(KubeRayClusterBuilder.cpu_worker())
        .build()
    )


def everything() -> KubeRayCluster:
    """Every setting in use."""
    builder = KubeRayClusterBuilder
    return (
        builder.create("everything")
        .namespace("features")
        .ray_version("2.60.0")
        .shared_volume("tables", "/data")
        .trusted_keys("leman-keys")
        .head_group(
            image=IMAGE,
            cpus=2,
            memory="6Gi",
            gpus=0,
            service_account="runner",
            node_selector={"pool": "head"},
            labels={"team": "search"},
            tolerations=["dedicated=head:NoSchedule"],
            env_vars={"LANCE_IO_THREADS": "4"},
        )
        .add_worker_group(
            builder.cpu_worker()
            .name("cheap")
            .cpus("3500m")
            .memory("12Gi")
            .service_account("runner")
            .gke_node_pool("cpu-pool")
            .spot()
            .labels({"leman/pool": "cheap"})
            .env_vars({"HF_TOKEN": SecretKeyRef("hugging-face", "token")})
            .replicas(2)
            .min_replicas(1)
            .max_replicas(20)
            .idle_timeout_seconds(120)
            .build()
        )
        .add_worker_group(
            builder.gpu_worker(2)
            .image("registry.example.com/leman:1.0-cuda")
            .accelerator("nvidia-l4")
            .tolerations([{"operator": "Exists"}])
        )
        .build()
    )


def fixed_size() -> KubeRayCluster:
    """No autoscaler, no token, any node: what an older KubeRay takes, too."""
    return (
        KubeRayClusterBuilder.create("fixed")
        .token_authentication(False)
        .head_group(image=IMAGE, node_selector={})
        .add_worker_group(KubeRayClusterBuilder.cpu_worker().node_selector({}).min_replicas(3).max_replicas(3))
        .build()
    )
