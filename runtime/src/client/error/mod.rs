//! The errors of a client's calls: one enum for each operation.
//!
//! The `Debug` text of each is its `Display` text, because a `main` that returns an error prints `Debug`.

mod absent;
mod connect;
mod handle;
mod interceptor;
mod message;
mod result;
mod rpc;
mod start;

pub use connect::ConnectError;
pub use handle::{HandleError, ListError};
pub use interceptor::InterceptorError;
pub use message::{QueryError, SignalError, UpdateError};
pub use result::{ExecuteError, ResultError};
pub use rpc::{RpcCode, RpcError};
pub use start::StartError;

#[cfg(test)]
mod tests {
    use super::*;

    fn not_found(workflow_id: &str, message: &str) -> String {
        HandleError::NotFound { workflow_id: workflow_id.to_owned(), message: message.to_owned() }.to_string()
    }

    #[test]
    fn not_found_errors_name_what_to_check() {
        let gone = "there is no workflow `buy-9`: check the id and the client's namespace; closed workflows are kept for the \
                    namespace's retention only";
        assert_eq!(not_found("buy-9", "workflow not found for ID: buy-9"), gone);
        assert_eq!(not_found("buy-9", "sql: no rows in result set"), gone);
        let ended = "workflow `buy-9` has ended already";
        assert_eq!(not_found("buy-9", "workflow execution already completed"), ended);
        let namespace = "Namespace shop is not found: check the client's namespace";
        assert_eq!(not_found("buy-9", "Namespace shop is not found."), namespace);
        assert_eq!(not_found("buy-9", "update u-1 not found"), "workflow `buy-9`: update u-1 not found");
        assert_eq!(not_found("", ""), "the workflow id is empty: give the id that the workflow was started with");
        let signal = SignalError::NotFound { workflow_id: "b".to_owned(), message: "already completed".to_owned() };
        assert_eq!(signal.to_string(), "the signal was not sent: workflow `b` has ended already");
    }

    #[test]
    fn errors_that_main_returns_read_as_text() {
        let error: Box<dyn std::error::Error> = StartError::EmptyId.into();
        assert_eq!(format!("{error:?}"), error.to_string());
        let error: Box<dyn std::error::Error> = ExecuteError::from(ResultError::TimedOut).into();
        assert_eq!(format!("{error:?}"), "the workflow did not end within its time limit");
    }
}
