//! Damaged files.

use super::*;

#[tokio::test]
async fn a_file_with_a_damaged_header_is_rejected() {
    let shelf = Shelf::new();
    let mut bench = shelf.open();
    bench.start("flow").await;
    drop(bench);
    overwrite(&shelf.file(), 0, 100);
    assert!(shelf.refusal().contains("is no database, or its beginning is damaged"), "{}", shelf.refusal());
}

#[tokio::test]
async fn a_damaged_page_fails_only_the_calls_that_read_it() {
    let shelf = Shelf::new();
    let mut bench = shelf.open();
    // Enough runs to fill pages with histories alone.
    for number in 0..200 {
        let mut request = start_request(&format!("flow-{number}"));
        let payload = Payload { data: vec![7; 2000].into(), ..Default::default() };
        request.input = Some(Payloads { payloads: vec![payload] });
        bench.client.start_workflow_execution(request).await.unwrap();
    }
    terminate(&mut bench, "flow-0").await;
    terminate(&mut bench, "flow-199").await;
    drop(bench);
    let page = page_of_history(&shelf.file(), 1);
    overwrite(&shelf.file(), page * 8192, 8192);

    let mut bench = shelf.open();
    let request = |id: &str| GetWorkflowExecutionHistoryRequest {
        namespace: "default".to_owned(),
        execution: Some(execution(id)),
        ..Default::default()
    };
    let damaged = bench.client.get_workflow_execution_history(request("flow-0")).await.unwrap_err();
    assert!(damaged.message().contains("is damaged"), "{damaged}");
    assert!(damaged.message().contains("restore a backup"), "{damaged}");
    // Repeats of earlier requests would be found in the history; an unreadable history does not mean that there were
    // none.
    let signal = SignalWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_execution: Some(execution("flow-0")),
        signal_name: "signal".to_owned(),
        request_id: "sent-before".to_owned(),
        ..Default::default()
    };
    check_store_failed(&bench.client.signal_workflow_execution(signal).await.unwrap_err(), "is damaged");
    let meta = update::Meta { update_id: "sent-before".to_owned(), ..Default::default() };
    let input = update::Input { name: "update".to_owned(), ..Default::default() };
    let update = UpdateWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_execution: Some(execution("flow-0")),
        request: Some(update::Request { meta: Some(meta), input: Some(input), ..Default::default() }),
        ..Default::default()
    };
    check_store_failed(&bench.client.update_workflow_execution(update).await.unwrap_err(), "is damaged");
    let whole = bench.client.get_workflow_execution_history(request("flow-199")).await.unwrap().into_inner();
    assert_eq!(whole.history.unwrap().events.len(), 3, "other runs are as they were");
}

/// Regression: request ids of a closed run that could not be read counted as none, so a repeated request was carried
/// out again.
#[tokio::test]
async fn a_closed_run_with_damaged_state_is_data_loss() {
    let shelf = Shelf::new();
    let mut bench = shelf.open();
    for id in ["damaged", "whole"] {
        bench.start(id).await;
        terminate(&mut bench, id).await;
    }
    drop(bench);
    let connection = Connection::open(shelf.file()).unwrap();
    connection.execute("INSERT OR REPLACE INTO overlay (run, data) VALUES (1, x'ffffffff')", []).unwrap();
    drop(connection);
    let mut bench = shelf.open();
    let refusal = try_start(&mut bench, "damaged").await.unwrap_err();
    assert_eq!(refusal.code(), Code::DataLoss, "{refusal}");
    assert!(refusal.message().contains("is damaged"), "{refusal}");
    assert!(try_start(&mut bench, "whole").await.is_ok());
}

async fn terminate(bench: &mut Bench, id: &str) {
    let request = TerminateWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_execution: Some(execution(id)),
        ..Default::default()
    };
    bench.client.terminate_workflow_execution(request).await.unwrap();
}

/// Overwrites part of a file with garbage.
fn overwrite(file: &Path, offset: usize, length: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[offset..offset + length].fill(0xa5);
    fs::write(file, bytes).unwrap();
}

/// The number of the page that contains the first batch of a run.
fn page_of_history(file: &Path, run: i64) -> usize {
    let bytes = fs::read(file).unwrap();
    let connection = Connection::open(file).unwrap();
    let read = "SELECT events FROM history WHERE run = ?1 AND first_event = 1";
    let events: Vec<u8> = connection.query_row(read, [run], |row| row.get(0)).unwrap();
    // The last occurrence: the first pages of the table still contain remains of moved rows.
    let at = bytes.windows(64).rposition(|window| window == &events[..64]).unwrap();
    at / 8192
}
