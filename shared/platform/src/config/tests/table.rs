//! The table of variables, and what is made of it: the sample, the README's table, the help.

use super::super::reader::Reader;
use super::*;

#[test]
fn the_table_holds_exactly_the_variables_that_are_read_each_once() {
    let mut reader = Reader::new(&|_| None);
    let _ = Config::read(&mut reader);
    let names: Vec<&str> = variables().map(|variable| variable.name).collect();
    let distinct: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(distinct.len(), names.len());
    assert_eq!(reader.names_read(), distinct);
}

#[test]
fn every_example_of_the_table_is_a_legal_value() {
    for variable in variables().filter(|variable| !variable.example.contains("openssl")) {
        let mut pairs = SECRETS.to_vec();
        pairs.push((variable.name, variable.example));
        assert!(parse(&pairs).is_ok(), "{}", variable.name);
    }
}

#[test]
fn the_committed_sample_is_the_one_that_the_table_gives() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.env.sample");
    if from_process("ARBION_BLESS").is_ok_and(|value| value == "1") {
        std::fs::write(&path, env_sample()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        committed,
        env_sample(),
        "run: ARBION_BLESS=1 cargo test -p arbion-platform committed_sample"
    );
}

#[test]
fn the_sample_is_a_env_file_that_changes_nothing_and_holds_no_secret() {
    let sample = env_sample();
    let pairs: BTreeMap<String, String> = dotenvy::from_read_iter(sample.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap();
    let names: BTreeSet<&str> = pairs.keys().map(String::as_str).collect();
    assert_eq!(names, variables().map(|variable| variable.name).collect());
    for variable in variables() {
        assert!(
            !variable.secret || pairs[variable.name].is_empty(),
            "{}",
            variable.name
        );
    }
    let from_sample = Config::from_lookup(|name| pairs.get(name).cloned()).unwrap();
    assert_eq!(format!("{from_sample:?}"), format!("{:?}", parse(&[]).unwrap()));
}

#[test]
fn the_readme_table_and_the_help_name_every_variable_with_its_default() {
    let (table, help) = (markdown_table(), help_text());
    for variable in variables() {
        let default = variable
            .default
            .map_or_else(String::new, |default| format!("`{default}`"));
        assert!(
            table.contains(&format!("| `{}` | {default} | ", variable.name)),
            "{}",
            variable.name
        );
        let default = variable
            .default
            .map_or_else(String::new, |default| format!(" [default: {default}]"));
        assert!(
            help.contains(&format!("\n    {}{default}\n", variable.name)),
            "{}",
            variable.name
        );
    }
    assert_eq!(table.lines().count(), variables().count() + 2);
    assert!(
        table.contains("| `PORT` | `5000` | api | TCP port to listen on; 0 takes a free one. |"),
        "{table}"
    );
}
