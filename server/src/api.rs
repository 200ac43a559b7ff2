//! Short names for the generated modules, so that signatures stay readable.

pub(crate) use everloop_proto::temporal::api::{
    command::v1 as command, common::v1 as common, deployment::v1 as deployment, enums::v1 as enums,
    errordetails::v1 as errordetails, failure::v1 as failure, history::v1 as history, protocol::v1 as protocol,
    query::v1 as query, sdk::v1 as sdk, taskqueue::v1 as taskqueue, update::v1 as update, version::v1 as version,
    workflow::v1 as workflow, workflowservice::v1 as workflowservice,
};
