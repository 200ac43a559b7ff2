//! Filters: what they mean, what is refused, and that no text breaks the parser.

use std::sync::Arc;

use expect_test::{Expect, expect};
use proptest::collection::vec;
use proptest::prelude::*;

use super::filter::{Condition, Operator, Value};
use super::schema::{Attribute, AttributeType};
use super::*;

use crate::model::{NamespaceKey, RunKey, RunStatus, VisibilityRow};
use crate::store::{SqliteStore, Store, Write};
use crate::visibility::error::{InvalidQuery, Problem};

const SHOP: NamespaceKey = NamespaceKey(1);
const WORKFLOW_TYPES: [&str; 5] = ["buy", "Buy", "it's", "", "ünü%_"];

/// Forty runs that differ in everything a filter can ask about.
fn rows() -> Vec<VisibilityRow> {
    let row = |number: i64| VisibilityRow {
        namespace: SHOP,
        workflow_id: format!("buy-{}", number % 7).into(),
        run_id: format!("run-{number}").into(),
        create_request_id: "".into(),
        workflow_type: WORKFLOW_TYPES[number as usize % 5].into(),
        task_queue: ["shop", "shop\\2"][number as usize % 2].into(),
        status: RunStatus::ALL[number as usize % 8],
        start_time_ns: number * 100,
        execution_time_ns: number * 100 + number % 3,
        close_time_ns: (number % 8 != 0).then_some(5_000 - number * 10),
        history_length: 3,
        history_size_bytes: 300,
        state_transition_count: 2,
        memo: None,
        search_attributes: change_versions(number)
            .map(|it| format!(r#"{{"TemporalChangeVersion":{{"type":"KeywordList","value":{it:?}}}}}"#).into()),
    };
    (0..40).map(row).collect()
}

/// The change versions of a run of [`rows`].
fn change_versions(number: i64) -> Option<&'static [&'static str]> {
    [None, Some(&["B"][..]), Some(&["B", "it's"]), Some(&["buy-1", "", "ünü"])][number as usize % 4]
}

fn store() -> SqliteStore {
    let store = SqliteStore::memory().unwrap();
    let write = |row| Write {
        run: store.new_run(),
        history: None,
        visibility: Some(Box::new(row)),
        overlay: None,
        wake: None,
        outbox: None,
    };
    store.commit(rows().into_iter().map(write).collect());
    store
}

/// The numbers of the runs that a filter finds.
fn found(store: &SqliteStore, filter: &Filter) -> Vec<u32> {
    let (page, next) = store.list(SHOP, filter, None, 1000).wait().unwrap();
    assert_eq!(next, None);
    let mut found: Vec<_> = page.iter().map(|row| row.run_id[4..].parse().unwrap()).collect();
    found.sort_unstable();
    found
}

fn found_by(text: &str) -> Vec<u32> {
    found(&store(), &parse_list(text).unwrap())
}

fn check_refused(text: &str, message: Expect) {
    message.assert_eq(&parse_list(text).unwrap_err().to_string());
}

#[test]
fn filters_find_their_runs() {
    assert_eq!(found_by("").len(), 40);
    assert_eq!(found_by(" \n ").len(), 40);
    assert_eq!(found_by("RunId = 'run-7'"), [7]);
    assert_eq!(found_by("`RunId` = \"run-7\""), [7]);
    assert_eq!(found_by("WorkflowId = 'buy-3' AND ExecutionStatus = 'Canceled'"), [3]);
    assert_eq!(found_by("WorkflowType = 'it''s' AND StartTime<1000"), [2, 7]);
    assert_eq!(found_by(r"WorkflowType = 'it\'s' AND StartTime<1000"), [2, 7]);
    assert_eq!(found_by(r"TaskQueue = 'shop\\2' AND StartTime <= 300"), [1, 3]);
    assert_eq!(found_by("WorkflowType STARTS_WITH 'ün' AND StartTime < 1000"), [4, 9]);
    assert_eq!(found_by("WorkflowType STARTS_WITH '%' OR WorkflowType STARTS_WITH 'B'").len(), 8);
    assert_eq!(found_by("RunId = 'run-1' OR RunId = 'run-2' AND TaskQueue = 'other'"), [1], "AND binds closer than OR");
    assert_eq!(found_by("(RunId = 'run-1' OR RunId = 'run-2') AND TaskQueue = 'shop'"), [2]);
    assert_eq!(found_by("RunId in ('run-1', 'run-2') and StartTime between 150 and 250"), [2]);
    assert_eq!(found_by("RunId = 'x'' OR 1 = 1 --'"), [] as [u32; 0]);
}

/// SQLite's `length` ends at a NUL: such prefixes found nothing.
#[test]
fn a_prefix_may_hold_any_character() {
    let store = SqliteStore::memory().unwrap();
    let ids = ["a\0b", "a\0c", "a", "ab", "\0", "é\0é"];
    let rows = ids.iter().zip(rows()).map(|(id, row)| VisibilityRow { workflow_id: (*id).into(), ..row });
    let write = |row| Write {
        run: store.new_run(),
        history: None,
        visibility: Some(Box::new(row)),
        overlay: None,
        wake: None,
        outbox: None,
    };
    store.commit(rows.map(write).collect());
    let found_by = |prefix: &str| found(&store, &parse_list(&format!("WorkflowId STARTS_WITH '{prefix}'")).unwrap());
    assert_eq!(found_by("a\0"), [0, 1]);
    assert_eq!(found_by("a\0b"), [0]);
    assert_eq!(found_by("a"), [0, 1, 2, 3]);
    assert_eq!(found_by("\0"), [4]);
    assert_eq!(found_by("é\0é"), [5]);
    assert_eq!(found_by("é\0éé"), [] as [u32; 0]);
    assert_eq!(found_by(""), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn statuses_have_short_names_protocol_names_and_numbers() {
    let expected = [6, 14, 22, 30, 38];
    assert_eq!(found_by("ExecutionStatus = 'TimedOut'"), expected);
    assert_eq!(found_by("ExecutionStatus = 'WORKFLOW_EXECUTION_STATUS_TIMED_OUT'"), expected);
    assert_eq!(found_by("ExecutionStatus = 7"), expected);
    assert_eq!(found_by("ExecutionStatus IN ('TimedOut', 1, 'Running')"), [0, 6, 8, 14, 16, 22, 24, 30, 32, 38]);
    assert_eq!(found_by("ExecutionStatus != 'Running'").len(), 35);
}

#[test]
fn times_are_rfc_3339_or_nanoseconds_and_open_runs_have_no_close_time() {
    assert_eq!(found_by("StartTime > '1970-01-01T00:00:00.000003700Z'"), [38, 39]);
    assert_eq!(found_by("StartTime >= '1970-01-01T01:00:00.0000039+01:00'"), [39]);
    assert_eq!(found_by("StartTime > '2500-01-01T00:00:00Z'"), [] as [u32; 0]);
    assert_eq!(found_by("StartTime < '2500-01-01T00:00:00Z'").len(), 40);
    assert_eq!(found_by("StartTime > -1").len(), 40);
    assert_eq!(found_by("ExecutionTime = 502"), [5]);
    assert_eq!(found_by("CloseTime > 0").len(), 35);
    assert_eq!(found_by("CloseTime != 4990").len(), 34);
    assert_eq!(found_by("CloseTime BETWEEN 4980 AND 5000"), [1, 2]);
}

#[test]
fn a_list_is_compared_by_its_members() {
    let within = |text: &str| found_by(&format!("({text}) AND StartTime < 800"));
    assert_eq!(within("TemporalChangeVersion = 'B'"), [1, 2, 5, 6]);
    assert_eq!(within("TemporalChangeVersion = 'it''s'"), [2, 6]);
    assert_eq!(within("TemporalChangeVersion = 'B' AND TemporalChangeVersion = 'it''s'"), [2, 6]);
    assert_eq!(within("TemporalChangeVersion != 'B'"), [0, 3, 4, 7], "also runs without a list");
    assert_eq!(within("TemporalChangeVersion IN ('it''s', 'ünü')"), [2, 3, 6, 7]);
    assert_eq!(within("TemporalChangeVersion = 'b'"), [] as [u32; 0]);
    assert_eq!(within("TemporalChangeVersion = ''"), [3, 7]);
}

#[test]
fn what_is_wrong_is_named_with_what_is_supported() {
    let supported = expect![[
        r#"invalid query: invalid search attribute: Color; supported are =, !=, <, <=, >, >=, IN, BETWEEN, STARTS_WITH, AND, OR and parentheses over WorkflowId, RunId, WorkflowType, TaskQueue, ExecutionStatus, StartTime, ExecutionTime, CloseTime and TemporalChangeVersion"#
    ]];
    check_refused("Color = 'red'", supported);
    let refused = [
        "workflowid = 'x'",
        "NOT RunId = 'x'",
        "RunId NOT IN ('x')",
        "CloseTime IS NULL",
        "RunId LIKE 'x%'",
        "RunId = 'x' ORDER BY StartTime",
        "RunId = 'x' GROUP BY ExecutionStatus",
        "RunId = 'x' LIMIT 3",
        "RunId = 'x' StartTime = 1",
        "RunId 'x'",
        "'x' = RunId",
        "RunId",
        "RunId =",
        "RunId = (",
        "RunId = other",
        "RunId = 12",
        "RunId = 'x",
        "RunId = 1.5",
        "RunId IN ()",
        "RunId IN ('x' 'y')",
        "RunId BETWEEN 'x', 'y'",
        "RunId ; 'x'",
        "lower(RunId) = 'x'",
        "(RunId = 'x'",
        "RunId = 'x')",
        "RunId = 'x' AND",
        "ExecutionStatus = 'running'",
        "ExecutionStatus = 99",
        "ExecutionStatus < 'Running'",
        "ExecutionStatus BETWEEN 1 AND 2",
        "ExecutionStatus STARTS_WITH 'Run'",
        "StartTime > 'yesterday'",
        "StartTime STARTS_WITH '2026-01-01T00:00:00Z'",
        "StartTime > 99999999999999999999",
        "TemporalChangeVersion > 'a'",
        "TemporalChangeVersion STARTS_WITH 'a'",
        "TemporalChangeVersion BETWEEN 'a' AND 'b'",
        "TemporalChangeVersion = 7",
    ];
    let answer = |text: &str| {
        let full = parse_list(text).unwrap_err().to_string();
        let message = full.split("; supported are").next().unwrap().strip_prefix("invalid query: ");
        format!("{text:42} {}\n", message.unwrap())
    };
    expect![[r#"
        workflowid = 'x'                           invalid search attribute: workflowid
        NOT RunId = 'x'                            `NOT` at 0 is not supported
        RunId NOT IN ('x')                         `NOT` at 6 is not supported
        CloseTime IS NULL                          `IS` at 10 is not supported
        RunId LIKE 'x%'                            `LIKE` at 6 is not supported
        RunId = 'x' ORDER BY StartTime             `ORDER` at 12 is not supported
        RunId = 'x' GROUP BY ExecutionStatus       `GROUP` at 12 is not supported
        RunId = 'x' LIMIT 3                        `LIMIT` at 12 is not supported
        RunId = 'x' StartTime = 1                  found `StartTime` at 12, expected AND, OR or the end
        RunId 'x'                                  found `'x'` at 6, expected an operator
        'x' = RunId                                found `'x'` at 0, expected the name of a search attribute
        RunId                                      it ends where an operator is expected
        RunId =                                    it ends where a value is expected
        RunId = (                                  found `(` at 8, expected a value
        RunId = other                              other is not a value of RunId, which is a string in quotes
        RunId = 12                                 12 is not a value of RunId, which is a string in quotes
        RunId = 'x                                 the quote at 8 is not closed
        RunId = 1.5                                `1.5` at 8 is not supported
        RunId IN ()                                found `)` at 10, expected a value
        RunId IN ('x' 'y')                         found `'y'` at 14, expected `,` or `)`
        RunId BETWEEN 'x', 'y'                     found `,` at 17, expected AND
        RunId ; 'x'                                `;` at 6 is not supported
        lower(RunId) = 'x'                         invalid search attribute: lower
        (RunId = 'x'                               it ends where AND, OR or `)` is expected
        RunId = 'x')                               found `)` at 11, expected AND, OR or the end
        RunId = 'x' AND                            it ends where the name of a search attribute is expected
        ExecutionStatus = 'running'                'running' is not a value of ExecutionStatus, which is a status: 'Running', 'Completed', 'Failed', 'Canceled', 'Terminated', 'ContinuedAsNew', 'TimedOut' or 'Paused', or its number
        ExecutionStatus = 99                       99 is not a value of ExecutionStatus, which is a status: 'Running', 'Completed', 'Failed', 'Canceled', 'Terminated', 'ContinuedAsNew', 'TimedOut' or 'Paused', or its number
        ExecutionStatus < 'Running'                operator `<` is not supported for ExecutionStatus
        ExecutionStatus BETWEEN 1 AND 2            operator `BETWEEN` is not supported for ExecutionStatus
        ExecutionStatus STARTS_WITH 'Run'          'Run' is not a value of ExecutionStatus, which is a status: 'Running', 'Completed', 'Failed', 'Canceled', 'Terminated', 'ContinuedAsNew', 'TimedOut' or 'Paused', or its number
        StartTime > 'yesterday'                    'yesterday' is not a value of StartTime, which is a time as in RFC 3339, '2026-01-31T12:00:00Z', or in nanoseconds since 1970
        StartTime STARTS_WITH '2026-01-01T00:00:00Z' operator `STARTS_WITH` is not supported for StartTime
        StartTime > 99999999999999999999           `99999999999999999999` at 12 is not supported
        TemporalChangeVersion > 'a'                operator `>` is not supported for TemporalChangeVersion
        TemporalChangeVersion STARTS_WITH 'a'      operator `STARTS_WITH` is not supported for TemporalChangeVersion
        TemporalChangeVersion BETWEEN 'a' AND 'b'  operator `BETWEEN` is not supported for TemporalChangeVersion
        TemporalChangeVersion = 7                  7 is not a value of TemporalChangeVersion, which is a string in quotes
    "#]].assert_eq(&refused.map(answer).concat());
    check_refused(
        &format!("RunId = '{}'", "x".repeat(10_000)),
        expect!["invalid query: 10010 bytes are too long, at most 10000 are allowed"],
    );
}

#[test]
fn parentheses_nest_up_to_the_limit() {
    let nested = |depth| format!("{}RunId = 'run-1'{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(found_by(&nested(32)), [1]);
    assert_eq!(
        parse_list(&nested(33)),
        Err(InvalidQuery::new(&Problem::TooDeep { depth_max: 32 }, Schema::built_in()))
    );
}

#[test]
fn the_longest_filters_run() {
    for keyword in [" OR ", " AND "] {
        let text = vec!["RunId=''"; 10_000 / (8 + keyword.len())].join(keyword);
        assert_eq!(found_by(&text), [] as [u32; 0]);
    }
    assert_eq!(found_by(&format!("RunId IN ({}'run-1')", "'',".repeat(3_300))), [1]);
}

#[test]
fn only_counts_group_and_only_by_status() {
    let (filter, grouping) = parse_count("`TaskQueue` = 'shop' group by ExecutionStatus").unwrap();
    assert_eq!(grouping, Grouping::ByStatus);
    let counts = store().count(SHOP, &filter).wait().unwrap();
    assert_eq!(counts, [1, 3, 5, 7].map(|number| (RunStatus::from_number(number).unwrap(), 5)));

    assert_eq!(parse_count("GROUP BY ExecutionStatus"), Ok((Filter::default(), Grouping::ByStatus)));
    assert_eq!(parse_count(""), Ok((Filter::default(), Grouping::None)));
    let refused = |text| parse_count(text).unwrap_err().to_string();
    expect!["invalid query: GROUP BY TaskQueue is not supported, only GROUP BY ExecutionStatus is"]
        .assert_eq(&refused("GROUP BY TaskQueue"));
    expect!["invalid query: found `,` at 24, expected AND, OR or the end; supported are =, !=, <, <=, >, >=, IN, BETWEEN, STARTS_WITH, AND, OR and parentheses over WorkflowId, RunId, WorkflowType, TaskQueue, ExecutionStatus, StartTime, ExecutionTime, CloseTime and TemporalChangeVersion"].assert_eq(&refused("GROUP BY ExecutionStatus, ExecutionStatus"));
}

#[test]
fn page_tokens_come_back_and_other_bytes_are_no_token() {
    for close_time_ns in [None, Some(0), Some(-5)] {
        let key = PageKey { close_time_ns, start_time_ns: 12, run: RunKey(3) };
        let token = key.to_token();
        assert_eq!(PageKey::from_token(&token), Some(key));
        assert_eq!(PageKey::from_token(&token[1..]), None);
        assert_eq!(PageKey::from_token(&[&token[..], b"x"].concat()), None);
    }
    assert_eq!(PageKey::from_token(b""), None);
    assert_eq!(PageKey::from_token(&[2; 26]), None);
}

proptest! {
    #[test]
    fn no_text_breaks_the_parser(text in ".{0,60}", words in vec(word(), 0..30)) {
        let _ = parse_list(&text);
        let _ = parse_count(&text);
        // Made of pieces of the language, so that it gets further.
        if let Ok((filter, _)) = parse_count(&words.join(" ")) {
            found(&store(), &filter);
        }
    }

    #[test]
    fn a_filter_means_what_its_tree_says(condition in condition()) {
        let text = text_of(&condition);
        let filter = parse_list(&text).unwrap();
        prop_assert_eq!(filter.condition.as_ref(), Some(&condition), "{}", text);
        let expected: Vec<_> = (0..).zip(rows()).filter(|(_, row)| matches(&condition, row)).map(|(n, _)| n).collect();
        prop_assert_eq!(found(&store(), &filter), expected, "{}", text);
    }
}

fn parse_list(text: &str) -> Result<Filter, InvalidQuery> {
    super::parse_list(text, Schema::built_in())
}

fn parse_count(text: &str) -> Result<(Filter, Grouping), InvalidQuery> {
    super::parse_count(text, Schema::built_in())
}

/// A schema is data: one more attribute is one more entry.
#[test]
fn filters_name_the_attributes_of_the_schema_that_they_are_parsed_against() {
    let built_in = Schema::built_in().attributes().iter();
    let attributes = built_in.map(|it| Attribute { name: it.name.clone(), kind: it.kind, sql: it.sql.clone() });
    let customer =
        Attribute { name: "Customer".to_owned(), kind: AttributeType::Keyword, sql: "upper(task_queue)".to_owned() };
    let schema = Schema::new(attributes.chain([customer]));
    let text = "Customer = 'SHOP' AND RunId IN ('run-1', 'run-2')";
    assert_eq!(found(&store(), &super::parse_list(text, &schema).unwrap()), [2]);
    expect!["invalid query: invalid search attribute: Customer; supported are =, !=, <, <=, >, >=, IN, BETWEEN, STARTS_WITH, AND, OR and parentheses over WorkflowId, RunId, WorkflowType, TaskQueue, ExecutionStatus, StartTime, ExecutionTime, CloseTime and TemporalChangeVersion"]
        .assert_eq(&parse_list(text).unwrap_err().to_string());
}

fn word() -> impl Strategy<Value = String> {
    let words = "WorkflowId RunId ExecutionStatus StartTime CloseTime = != < <= > >= ( ) , AND OR IN BETWEEN STARTS_WITH \
        NOT IS NULL GROUP BY 'Running' 'run-1' \"x\" 12 -3 1.5 '2026-01-31T12:00:00Z' ' `";
    prop::sample::select(words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
}

fn condition() -> impl Strategy<Value = Condition> {
    let leaf = prop::sample::select(Schema::built_in().attributes()).prop_flat_map(|attribute| {
        let kind = attribute.kind;
        let operator = prop::sample::select(match kind {
            AttributeType::Status | AttributeType::KeywordList => &OPERATORS[..2],
            AttributeType::Keyword | AttributeType::Time => &OPERATORS[..],
        });
        let it = move || Arc::clone(&attribute);
        let (compared, member, ranged, prefixed) = (it(), it(), it(), it());
        let compare = (operator, value(kind)).prop_map(move |(operator, value)| Condition::Compare {
            attribute: Arc::clone(&compared),
            operator,
            value,
        });
        let members =
            vec(value(kind), 1..4).prop_map(move |values| Condition::In { attribute: Arc::clone(&member), values });
        let between = (value(kind), value(kind)).prop_map(move |(from, to)| Condition::Between {
            attribute: Arc::clone(&ranged),
            from,
            to,
        });
        match kind {
            AttributeType::Status | AttributeType::KeywordList => prop_oneof![compare, members].boxed(),
            AttributeType::Time => prop_oneof![compare, members, between].boxed(),
            AttributeType::Keyword => {
                let starts =
                    text().prop_map(move |prefix| Condition::StartsWith { attribute: Arc::clone(&prefixed), prefix });
                prop_oneof![compare, members, between, starts].boxed()
            }
        }
    });
    leaf.prop_recursive(3, 12, 3, |inner| {
        let parts = vec(inner, 2..4);
        prop_oneof![parts.clone().prop_map(Condition::All), parts.prop_map(Condition::Any)]
    })
}

const OPERATORS: [Operator; 6] = [
    Operator::Equal,
    Operator::NotEqual,
    Operator::Less,
    Operator::LessOrEqual,
    Operator::Greater,
    Operator::GreaterOrEqual,
];

fn value(kind: AttributeType) -> BoxedStrategy<Value> {
    match kind {
        AttributeType::Status => prop::sample::select(&RunStatus::ALL[..]).prop_map(Value::Status).boxed(),
        AttributeType::Time => (-2..52_i64).prop_map(|step| Value::Time(step * 100)).boxed(),
        AttributeType::Keyword | AttributeType::KeywordList => text().prop_map(Value::Text).boxed(),
    }
}

fn text() -> impl Strategy<Value = String> {
    let known = ["buy-1", "buy-", "run-2", "run-30", "shop", "shop\\2", "it's", "B", "ünü", ""];
    prop_oneof![prop::sample::select(known.to_vec()).prop_map(str::to_owned), "[a-z'\"\\\\`%_ü ]{0,6}"]
}

/// The condition as a user writes it.
fn text_of(condition: &Condition) -> String {
    let joined = |parts: &[Condition], keyword: &str| {
        parts.iter().map(|part| format!("({})", text_of(part))).collect::<Vec<_>>().join(keyword)
    };
    match condition {
        Condition::All(parts) => joined(parts, " AND "),
        Condition::Any(parts) => joined(parts, " or "),
        Condition::Compare { attribute, operator, value } => {
            let operator = ["=", "!=", "<", "<=", ">", ">="][*operator as usize];
            format!("{}{operator}{}", attribute.name, literal(value))
        }
        Condition::Between { attribute, from, to } => {
            format!("`{}` BETWEEN {} AND {}", attribute.name, literal(from), literal(to))
        }
        Condition::In { attribute, values } => {
            format!("{} IN({})", attribute.name, values.iter().map(literal).collect::<Vec<_>>().join(","))
        }
        Condition::StartsWith { attribute, prefix } => {
            format!("{} Starts_With {}", attribute.name, literal(&Value::Text(prefix.clone())))
        }
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
        Value::Status(status) => format!("\"{}\"", status.name()),
        Value::Time(nanoseconds) => nanoseconds.to_string(),
    }
}

/// Evaluates a condition on a row: a second implementation.
fn matches(condition: &Condition, row: &VisibilityRow) -> bool {
    let value = |attribute: &Attribute| match attribute.name.as_str() {
        "WorkflowId" => Some(Value::Text(row.workflow_id.to_string())),
        "RunId" => Some(Value::Text(row.run_id.to_string())),
        "WorkflowType" => Some(Value::Text(row.workflow_type.to_string())),
        "TaskQueue" => Some(Value::Text(row.task_queue.to_string())),
        "ExecutionStatus" => Some(Value::Status(row.status)),
        "StartTime" => Some(Value::Time(row.start_time_ns)),
        "ExecutionTime" => Some(Value::Time(row.execution_time_ns)),
        "CloseTime" => row.close_time_ns.map(Value::Time),
        name => panic!("what is {name} of a run?"),
    };
    let has = |text: &Value| {
        let number = row.run_id[4..].parse().unwrap();
        change_versions(number).unwrap_or_default().iter().any(|member| *text == Value::Text((*member).to_owned()))
    };
    match condition {
        Condition::Compare { attribute, operator, value } if attribute.kind == AttributeType::KeywordList => {
            has(value) == (*operator == Operator::Equal)
        }
        Condition::In { attribute, values } if attribute.kind == AttributeType::KeywordList => values.iter().any(has),
        Condition::All(parts) => parts.iter().all(|part| matches(part, row)),
        Condition::Any(parts) => parts.iter().any(|part| matches(part, row)),
        Condition::Compare { attribute, operator, value: other } => {
            value(attribute).is_some_and(|value| match operator {
                Operator::Equal => value == *other,
                Operator::NotEqual => value != *other,
                Operator::Less => value < *other,
                Operator::LessOrEqual => value <= *other,
                Operator::Greater => value > *other,
                Operator::GreaterOrEqual => value >= *other,
            })
        }
        Condition::Between { attribute, from, to } => {
            value(attribute).is_some_and(|value| (from..=to).contains(&&value))
        }
        Condition::In { attribute, values } => value(attribute).is_some_and(|value| values.contains(&value)),
        Condition::StartsWith { attribute, prefix } => {
            matches!(value(attribute), Some(Value::Text(text)) if text.starts_with(prefix))
        }
    }
}
