//! The documents say what the programs do: their tables come from the keys, and what they name exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use loteria::config::{Key, Program, client, server};

use crate::fixture::programs;

const PROGRAMS: [&Program; 2] = [&server::PROGRAM, &client::PROGRAM];

/// The most words of README.md, those of its blocks and tables included.
const README_WORDS: usize = 1200;

/// Every page of the project.
fn documents() -> Vec<String> {
    let pages = |folder: &str| {
        let entries = fs::read_dir(path(folder)).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        let names = entries.map(|name| format!("{folder}{}", name.to_str().expect("UTF-8")));
        names.filter(|name| name.ends_with(".md")).collect::<Vec<String>>()
    };
    let all = [pages(""), pages("docs/")].concat();
    assert!(all.len() > 10, "{all:?}");
    all
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A cell with `text` as code, empty if there is none.
fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

/// The start of a key's row: its names and its default.
fn row_start(key: &Key) -> String {
    let names = if key.name == key.variable { String::new() } else { format!(" {} |", code(key.name)) };
    format!("|{names} {} | {} |", code(key.variable), code(key.default))
}

/// The table of `keys`.
fn table(keys: &[Key]) -> String {
    let has_names = keys.iter().any(|key| key.name != key.variable);
    let (head, line) = if has_names { ("| key | environment ", "|---|---") } else { ("| key ", "|---") };
    let row = |key: &Key| format!("{} {} | {} |\n", row_start(key), key.kind, key.help);
    let rows: String = keys.iter().map(row).collect();
    format!("{head}| default | values | meaning |\n{line}|---|---|---|\n{rows}")
}

/// `document` with the table of each group of keys between its two comments.
fn with_tables(mut document: String) -> String {
    for program in PROGRAMS {
        for (title, keys) in program.groups {
            let (begin, end) = (format!("<!-- keys of the {}: {title} -->\n", program.name), "<!-- end of keys -->");
            let (before, rest) = document.split_once(&begin).unwrap_or_else(|| panic!("there is no {begin}"));
            let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("there is no {end} behind {begin}"));
            document = format!("{before}{begin}\n{}\n{end}{after}", table(keys));
        }
    }
    document
}

#[test]
fn the_page_of_the_configuration_lists_every_key_as_it_is_declared() {
    const PAGE: &str = "docs/configuration.md";
    let page = read(PAGE);
    let expected = with_tables(page.clone());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path(PAGE), &expected).expect("written");
        return;
    }
    for (line, expected) in page.lines().zip(expected.lines()) {
        assert_eq!(line, expected, "{PAGE} is not what the keys say; UPDATE_DOCS=1 rewrites its tables");
    }
    assert_eq!(page, expected, "{PAGE} is not what the keys say; UPDATE_DOCS=1 rewrites its tables");
}

#[test]
fn the_readme_can_be_read_in_five_minutes() {
    let words = read("README.md").split_whitespace().count();
    assert!(words <= README_WORDS, "README.md has {words} words: move some to docs/");
}

/// The lines outside of fenced blocks.
fn outside_blocks(document: &str) -> impl Iterator<Item = &str> {
    let mut is_inside = false;
    document.lines().filter(move |line| {
        let is_fence = line.starts_with("```");
        is_inside ^= is_fence;
        !is_inside && !is_fence
    })
}

/// The commands of the blocks for a shell, without their comments.
fn commands(document: &str) -> Vec<String> {
    let blocks = document.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    let without_comment = |line: &str| line.split(" # ").next().unwrap_or_default().trim().to_owned();
    blocks.flat_map(str::lines).map(without_comment).filter(|line| !line.is_empty()).collect()
}

#[test]
fn every_program_that_a_command_of_a_document_starts_is_known() {
    // Programs of the system that the commands of the documents use.
    const OTHERS: [&str; 23] = [
        "cd",
        "export",
        "make",
        "cargo",
        "docker",
        "sed",
        "sh",
        "sudo",
        "git",
        "tar",
        "mv",
        "cp",
        "mkdir",
        "rm",
        "df",
        "du",
        "grep",
        "awk",
        "head",
        "ssh",
        "curl",
        "systemctl",
        "journalctl",
    ];
    for document in documents() {
        for command in commands(&read(&document)) {
            let words = command.split_whitespace().filter(|word| !word.contains('='));
            let name = words.clone().find(|word| *word != "sudo").unwrap_or_default();
            let is_file = name.starts_with("./") && (path(name).exists() || name == "./my-server");
            let is_ours = ["loteria", "loteria-server"].contains(&name);
            assert!(is_ours || is_file || OTHERS.contains(&name) || name == "install", "{document}: {command}");
        }
    }
}

#[test]
fn the_guide_of_the_course_gives_every_exercise_as_the_page_of_exercises() {
    let guide = read("README.es.md");
    let page = read("docs/exercises.md");
    for exercise in 1..=8 {
        let row = guide.lines().find(|line| line.starts_with(&format!("| {exercise} |"))).expect("a row");
        let (_, rest) = page.split_once(&format!("\n## {exercise}. ")).expect("a heading");
        let section = rest.split("\n## ").next().unwrap_or_default();
        let typed = row.split('|').nth(3).unwrap_or_default().split('`').skip(1).step_by(2);
        for command in typed.filter(|code| code.contains(' ')) {
            let is_there = command.split(' ').all(|word| section.contains(word));
            assert!(is_there, "exercise {exercise}: docs/exercises.md does not say {command}");
        }
    }
}

#[test]
fn no_document_is_unfinished() {
    for document in documents() {
        let text = read(&document);
        let is_placeholder =
            |line: &&str| line.len() > 3 && line.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_');
        assert_eq!(text.lines().find(is_placeholder), None, "{document}");
    }
}

#[test]
fn every_make_target_that_a_document_names_exists() {
    let makefile = read("Makefile");
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', '#', '.', ' ']))
        .filter_map(|line| line.split_once(':').filter(|(_, rest)| !rest.starts_with('=')))
        .flat_map(|(names, _)| names.split_whitespace())
        .collect();
    for document in documents() {
        let text = read(&document);
        let named = text.split("make ").skip(1).filter_map(|rest| {
            let end = rest
                .find(|character: char| !(character.is_ascii_lowercase() || character == '-'))
                .unwrap_or(rest.len());
            Some(&rest[..end]).filter(|name| !name.is_empty())
        });
        // Prose says "make" too, in other words than in code.
        let in_code = |name: &&str| text.contains(&format!("`make {name}")) || text.contains(&format!("\nmake {name}"));
        for name in named.filter(in_code) {
            assert!(targets.contains(name), "{document} says `make {name}`, and there is no such target");
        }
    }
}

#[test]
fn every_file_that_a_document_links_to_exists() {
    for document in documents() {
        let text = read(&document);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            let is_local = !file.is_empty() && !file.contains("://");
            let there = path(&document).parent().is_some_and(|folder| folder.join(file).exists());
            assert!(!is_local || there, "{document} links to {file}");
        }
    }
}

/// The anchor that a renderer gives to a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    text.chars().filter(|letter| letter.is_alphanumeric() || *letter == '-' || *letter == '_').collect()
}

#[test]
fn every_section_that_a_document_links_to_exists() {
    for document in documents() {
        let text = read(&document);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let Some((file, section)) = link.split_once('#').filter(|(file, _)| !file.contains("://")) else {
                continue;
            };
            let folder = path(&document).parent().expect("a folder").to_owned();
            let page = if file.is_empty() { path(&document) } else { folder.join(file) };
            let page = fs::read_to_string(page).expect("text");
            let mut headings = outside_blocks(&page).filter(|line| line.starts_with('#'));
            assert!(headings.any(|heading| anchor(heading) == section), "{document} links to {link}");
        }
    }
}

#[test]
fn every_subcommand_of_the_tool_that_a_document_names_exists() {
    for document in documents() {
        let text = read(&document);
        let in_code = text.split("`loteria ").chain(text.split("\nloteria ")).filter(|rest| rest.len() < text.len());
        let names = in_code.filter_map(|rest| rest.split(|letter: char| !letter.is_ascii_lowercase()).next());
        for name in names.filter(|name| !name.is_empty()).collect::<BTreeSet<&str>>() {
            let help = Command::new(programs().loteria).args([name, "--help"]).output().expect("it runs");
            assert!(help.status.success(), "{document} says `loteria {name}`, and there is no such subcommand");
        }
    }
}

/// The text of each `#[error("...")]` of the two programs.
fn error_texts() -> BTreeSet<String> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut texts = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                let source = fs::read_to_string(entry).expect("text");
                let literals = source.split("#[error(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
                texts.extend(literals.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
            }
        }
    }
    texts
}

/// The words of errors that errors.md explains.
fn explained() -> BTreeSet<String> {
    let page = read("errors.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let words = rows.flat_map(|line| line.split(" | ").next().unwrap_or_default().split('`').skip(1).step_by(2));
    words.map(str::to_owned).collect()
}

#[test]
fn every_error_that_the_page_explains_is_one_that_the_code_gives() {
    let texts = error_texts();
    for words in explained() {
        assert!(texts.iter().any(|text| text.contains(&words)), "errors.md explains `{words}`, which no error says");
    }
}

#[test]
fn every_error_that_the_code_gives_is_explained_on_the_page() {
    // Not errors of a program: the first is asked for, the others are always said as part of another.
    const ELSEWHERE: [&str; 5] = [
        ", line {line}: {refusal}",
        "interrupted by",
        "the batch is full",
        "not a day as",
        "bet {position} of the batch: {fault}",
    ];
    let explained = explained();
    let has_words = |text: &str| text.split(['{', '}']).step_by(2).any(|fixed| fixed.trim().contains(' '));
    for text in error_texts().iter().filter(|text| has_words(text)) {
        let is_explained = explained.iter().any(|words| text.contains(words.as_str()));
        let is_elsewhere = ELSEWHERE.iter().any(|words| text.contains(words));
        assert!(is_explained || is_elsewhere, "errors.md does not explain `{text}`");
    }
}
