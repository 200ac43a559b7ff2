//! Workflows that do not exist.

/// Explains the server's "not found" for a workflow id, with advice.
pub(super) fn absent(workflow_id: &str, message: &str) -> String {
    let said = message.trim_end_matches('.').to_lowercase();
    if workflow_id.is_empty() {
        "the workflow id is empty: give the id that the workflow was started with".to_owned()
    } else if said.contains("namespace") {
        format!("{}: check the client's namespace", message.trim_end_matches('.'))
    } else if said.contains("already completed") {
        format!("workflow `{workflow_id}` has ended already")
    } else if said.contains("update") || !said.contains("not found") && !said.contains("no rows") {
        format!("workflow `{workflow_id}`: {message}")
    } else {
        format!(
            "there is no workflow `{workflow_id}`: check the id and the client's namespace; closed workflows are kept for the \
             namespace's retention only"
        )
    }
}

/// Converts the error of a call for a workflow id.
macro_rules! not_found {
    ($error:ident) => {
        impl $error {
            pub(crate) fn from_rpc(workflow_id: &str, error: RpcError) -> Self {
                match error.is_absent(workflow_id) {
                    true => Self::NotFound { workflow_id: workflow_id.to_owned(), message: error.message },
                    false => Self::Rpc(error),
                }
            }
        }
    };
}
pub(super) use not_found;
