//! `loteria data` in a folder that has the course's archive of bets.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::data::{failure, files, make, set_of, temporary_folder};

/// Writes an archive of these entries as `dataset.zip` in `folder`.
fn drop_archive(folder: &Path, entries: &[(&str, &str)]) -> PathBuf {
    let path = folder.join("dataset.zip");
    let mut archive = ZipWriter::new(File::create(&path).expect("a new file"));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, content) in entries {
        archive.start_file(*name, options).expect("a new entry");
        archive.write_all(content.as_bytes()).expect("its content");
    }
    archive.finish().expect("an archive that is whole");
    path
}

#[test]
fn the_courses_archive_takes_the_place_of_made_up_bets() {
    let folder = temporary_folder();
    make(folder.path(), &["--bets", "50"]);
    let content = "José,Núñez,30904465,1999-03-17,2201\r\n";
    drop_archive(folder.path(), &[("agency-1.csv", content), ("agency-2.csv", "")]);

    let options = ["--agencies", "10", "--bets", "200000", "--seed", "7"];
    let printed = make(folder.path(), &options);

    assert!(printed.contains("dataset.zip: unpacked as it is"), "{printed}");
    let mut files = files(folder.path());
    assert!(files.remove("dataset.zip").is_some(), "the archive stays");
    assert_eq!(files.len(), 2, "{printed}");
    assert_eq!(files["agency-1.csv"], content.as_bytes());
    assert_eq!(files["agency-2.csv"], b"");
}

#[test]
fn both_spellings_of_the_courses_archive_are_taken() {
    let folder = temporary_folder();
    let archive = drop_archive(folder.path(), &[("agency-1.csv", "a bet\r\n")]);
    fs::rename(archive, folder.path().join("datasets.zip")).expect("renamed");
    let printed = make(folder.path(), &[]);
    assert!(printed.contains("datasets.zip: unpacked as it is"), "{printed}");
    assert!(files(folder.path()).keys().eq(["agency-1.csv", "datasets.zip"]), "{printed}");
}

#[test]
fn made_up_bets_replace_those_of_an_archive_which_stays() {
    let folder = temporary_folder();
    drop_archive(folder.path(), &[("agency-1.csv", "a bet\r\n"), ("agency-9.csv", "")]);
    make(folder.path(), &[]);
    make(folder.path(), &["--made-up"]);
    let mut after = files(folder.path());
    assert!(after.remove("dataset.zip").is_some(), "the archive stays");
    assert_eq!(after, set_of(&[]), "the bets of the project");
}

#[test]
fn an_archive_writes_agency_files_into_the_folder_and_nothing_else() {
    let outside = temporary_folder();
    let folder = outside.path().join("inner");
    fs::create_dir(&folder).expect("a new folder");
    let absolute = outside.path().join("agency-3.csv");
    let left_out = [
        "../agency-2.csv",
        absolute.to_str().expect("a path in UTF-8"),
        "..\\agency-4.csv",
        "below/agency-5.csv",
        "agency-6.csv/",
        "agency-07.csv",
        "agency-99999999999.csv",
        "notes.txt",
    ];
    let mut entries = vec![("agency-1.csv", "a bet\r\n")];
    entries.extend(left_out.iter().map(|name| (*name, "")));
    drop_archive(&folder, &entries);

    let printed = make(&folder, &[]);

    let files = files(outside.path());
    let expected = ["inner/agency-1.csv", "inner/dataset.zip"];
    assert!(files.keys().eq(expected.iter()), "{printed}");
    for name in left_out {
        let told = format!("\"{}\" left out", name.escape_debug());
        assert!(printed.contains(&told), "{told} is not in: {printed}");
    }
}

#[test]
fn a_useless_archive_is_refused_and_the_files_stay() {
    let folder = temporary_folder();
    make(folder.path(), &["--bets", "50"]);
    let before = files(folder.path());
    let bets = "José,Núñez,30904465,1999-03-17,2201\r\n".repeat(1000);
    let whole = fs::read(drop_archive(folder.path(), &[("agency-1.csv", "a bet\r\n"), ("agency-2.csv", &bets)]))
        .expect("the archive");
    let mut changed = whole.clone();
    let within_the_bets = whole.len() / 2;
    changed[within_the_bets] ^= 0xff;
    let empty = fs::read(drop_archive(folder.path(), &[("notes.txt", "")])).expect("the archive");

    let useless: [(&str, &[u8]); 5] = [
        ("cut off", &whole[..whole.len() - 30]),
        ("changed within an entry", &changed),
        ("not an archive", b"hello"),
        ("nothing in it", b""),
        ("no agency's file in it", &empty),
    ];
    for (fault, archive) in useless {
        fs::write(folder.path().join("dataset.zip"), archive).expect("the archive");
        let line = failure(folder.path(), &[]);
        assert!(line.contains("dataset.zip: "), "{fault}: {line}");
        let mut after = files(folder.path());
        after.remove("dataset.zip");
        assert_eq!(after, before, "{fault}: {line}");
    }
}
