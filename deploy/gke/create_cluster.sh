#!/usr/bin/env bash
# create_cluster.sh PROJECT REGION BUCKET: a GKE cluster with node pools for the head, CPU and GPU workers, the KubeRay
# operator, and the right of the pods to the bucket. It costs money from the first command on; the last line says how to end it.
set -euo pipefail
project=$1 region=$2 bucket=$3 cluster=leman

gcloud container clusters create "$cluster" --project "$project" --region "$region" --release-channel regular \
  --workload-pool "$project.svc.id.goog" --enable-dataplane-v2 --num-nodes 1 --machine-type e2-standard-2

pool() { gcloud container node-pools create --project "$project" --region "$region" --cluster "$cluster" "$@"; }

# The head: one machine that stays. 4 CPUs and 8 GiB of it go to Ray.
pool ray-head --machine-type e2-standard-8 --node-locations "$region-b" --num-nodes 1 --node-labels leman/ray-head=true

# CPU workers: three pods of 5 CPUs and 18 GiB a machine, spot, none while nothing runs.
pool ray-worker-cpu --machine-type e2-standard-16 --spot --node-labels leman/ray-worker-cpu=true \
  --enable-autoscaling --num-nodes 0 --total-min-nodes 0 --total-max-nodes 20

# GPU workers: one pod a machine. GKE taints the nodes with nvidia.com/gpu itself.
pool ray-worker-gpu --machine-type g2-standard-12 --accelerator type=nvidia-l4,count=1,gpu-driver-version=default \
  --node-labels leman/ray-worker-gpu=true --enable-autoscaling --num-nodes 0 --total-min-nodes 0 --total-max-nodes 8

gcloud container clusters get-credentials "$cluster" --project "$project" --region "$region"
kubectl create -k "github.com/ray-project/kuberay/ray-operator/config/default?ref=v1.6.0"

# Workload identity: the pods' service account may read and write the bucket, without any key.
number=$(gcloud projects describe "$project" --format 'value(projectNumber)')
gcloud storage buckets add-iam-policy-binding "gs://$bucket" --role roles/storage.objectUser --member \
  "principal://iam.googleapis.com/projects/$number/locations/global/workloadIdentityPools/$project.svc.id.goog/subject/ns/leman/sa/leman"

# To end it all:  gcloud container clusters delete leman --project PROJECT --region REGION
