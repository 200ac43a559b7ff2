//! Finds the `.proto` files, and lists those that are needed.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use prost_types::FileDescriptorSet;
use protox::Compiler;
use serde_json::Value;

use crate::Result;

/// The package whose archive carries the `.proto` files.
const PUBLISHER: &str = "temporalio-protos";

/// Folders of the archive to which import paths are relative.
const INCLUDES: [&str; 3] = ["api_upstream", "testsrv_upstream", ""];

/// The file of the workflow service.
pub(crate) const WORKFLOW_SERVICE: &str = "temporal/api/workflowservice/v1/service.proto";

/// Files whose services and messages are kept, with all types they refer to.
///
/// Besides the services these are the messages inside `Any` or a payload, to which no field refers.
pub(crate) const ROOTS: &[&str] = &[
    WORKFLOW_SERVICE,
    "temporal/api/operatorservice/v1/service.proto",
    "temporal/api/testservice/v1/service.proto",
    "temporal/api/errordetails/v1/message.proto",
    "temporal/api/history/v1/message.proto",
    "temporal/api/protocol/v1/message.proto",
    "temporal/api/update/v1/message.proto",
    "temporal/api/sdk/v1/enhanced_stack_trace.proto",
    "temporal/api/sdk/v1/event_group_marker.proto",
    "temporal/api/sdk/v1/external_storage.proto",
    "temporal/api/sdk/v1/task_complete_metadata.proto",
    "temporal/api/sdk/v1/user_metadata.proto",
    "temporal/api/sdk/v1/worker_config.proto",
    "temporal/api/sdk/v1/workflow_metadata.proto",
    "google/rpc/status.proto",
    "grpc/health/v1/health.proto",
];

/// Returns the folder of `.proto` files in Cargo's copy of the published package; `generator` is this package's folder.
pub(crate) fn locate(generator: &Path) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked", "--quiet"])
        .current_dir(generator)
        .output()?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let manifest = metadata["packages"]
        .as_array()
        .and_then(|packages| packages.iter().find(|package| package["name"] == PUBLISHER))
        .and_then(|package| package["manifest_path"].as_str())
        .ok_or_else(|| format!("cargo metadata names no package {PUBLISHER}"))?;
    Ok(Path::new(manifest).with_file_name("protos"))
}

/// Compiles [`ROOTS`] and their imports, without comments.
pub(crate) fn compile(protos: &Path) -> Result<FileDescriptorSet> {
    let mut compiler = Compiler::new(INCLUDES.map(|folder| protos.join(folder)))?;
    compiler.include_imports(true).include_source_info(false).open_files(ROOTS)?;
    Ok(compiler.file_descriptor_set())
}
