//! The texts that are generated from the table.

use std::fmt::Write as _;

use super::table::{GENERATE_SECRET, Process, SECTIONS, Variable};

/// The text of `.env.sample`: every variable, its default, what it is; no secret.
pub fn env_sample() -> String {
    let mut text = format!(
        "# Configuration of Arbion. Copy to .env and change what you need; the values shown are the defaults.\n\
         # Generated from the table of variables; a test keeps it equal. Each secret may be made by:\n\
         #   {GENERATE_SECRET}\n"
    );
    for (title, variables) in SECTIONS {
        line(&mut text, &format!("\n# --- {title}"));
        for variable in *variables {
            line(
                &mut text,
                &format!("# {} ({})", sentence(variable.what), readers(variable)),
            );
            match variable.default {
                Some(default) => line(&mut text, &format!("{}={default}", variable.name)),
                None => line(&mut text, &format!("{}=", variable.name)),
            }
        }
    }
    text
}

/// The README's table.
pub fn markdown_table() -> String {
    let mut text = String::from("| variable | default | read by | what |\n| --- | --- | --- | --- |\n");
    for (_, variables) in SECTIONS {
        for variable in *variables {
            let default = variable
                .default
                .map_or_else(String::new, |default| format!("`{default}`"));
            let what = sentence(variable.what).replace('|', "\\|");
            line(
                &mut text,
                &format!(
                    "| `{}` | {default} | {} | {what} |",
                    variable.name,
                    readers(variable)
                ),
            );
        }
    }
    text
}

/// The part of `--help` about the environment.
pub fn help_text() -> String {
    let mut text = String::from("Environment (a .env file of the working directory is read, too):\n");
    for (title, variables) in SECTIONS {
        line(&mut text, &format!("\n  {title}:"));
        for variable in *variables {
            let default = variable
                .default
                .map_or_else(String::new, |default| format!(" [default: {default}]"));
            line(&mut text, &format!("    {}{default}", variable.name));
            line(
                &mut text,
                &format!("        {}", sentence(variable.what).replace('`', "")),
            );
        }
    }
    text
}

fn readers(variable: &Variable) -> String {
    if variable.used_by.len() == 3 {
        return "all".to_owned();
    }
    variable
        .used_by
        .iter()
        .map(|process| Process::name(*process))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The text as a sentence; it starts with a capital unless it starts with code.
fn sentence(what: &str) -> String {
    let mut characters = what.chars();
    let first: String = characters
        .next()
        .map(char::to_uppercase)
        .into_iter()
        .flatten()
        .collect();
    format!("{first}{}.", characters.as_str())
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}
