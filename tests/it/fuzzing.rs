//! The bodies of the fuzz targets as property tests, on random bytes and on the corpus of the fuzzer.

use std::fs;

use crate::fixture::repository;
use crate::fuzz_bodies;
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_bytes_decode_to_the_same_messages_however_they_are_cut(bytes in vec(any::<u8>(), 0..1024)) {
        fuzz_bodies::decoder(&bytes);
    }

    #[test]
    #[cfg(feature = "tls")]
    fn what_is_heard_over_tls_is_a_beginning_of_what_was_said(bytes in vec(any::<u8>(), 0..2048)) {
        fuzz_bodies::transport(&bytes);
    }

    #[test]
    fn any_peers_leave_a_server_whole(bytes in vec(any::<u8>(), 0..4096)) {
        fuzz_bodies::central(&bytes);
    }

    #[test]
    fn any_files_are_recovered_or_left_as_they_are(bytes in vec(any::<u8>(), 0..1024)) {
        fuzz_bodies::recovery(&bytes);
    }

    #[test]
    fn almost_whole_files_are_recovered_or_left_as_they_are(
        rows in "([1-4],[A-Z]{1,3},(\"[a-z,\"]{0,4}\"|Paz),[0-9]{1,8},19[0-9]{2}-0[1-9]-1[0-9],[0-9]{1,4}\r\n){0,6}",
        tail in "([1-4],[A-Z,\"]{0,9})?",
        closings in "([1-3],[0-3],3\r\n){0,3}",
    ) {
        fuzz_bodies::recovery(&[rows.as_bytes(), tail.as_bytes(), &[0xff], closings.as_bytes()].concat());
    }

    #[test]
    fn any_text_configures_a_server_or_is_refused_in_one_line(
        text in "(\\[?(DEFAULT|AGENCIES|x)\\]?\n)?((SERVER_PORT|MAX_CONNECTIONS|1|7|\\PC{0,5}) ?[=:]? ?(\\PC{0,8}|[0-9]{1,6})\n){0,5}",
    ) {
        fuzz_bodies::server_configuration(text.as_bytes());
    }

    #[test]
    fn any_text_configures_a_client_or_is_refused_in_one_line(
        text in "((server|loop|batch|id|mode|agency|\\PC{0,5}):( \\PC{0,8}|\n  (address|period|maxAmount|credential): \\PC{0,9})\n){0,5}",
    ) {
        fuzz_bodies::client_configuration(text.as_bytes());
    }
}

#[test]
fn the_corpus_of_each_fuzz_target_passes() {
    type Body = fn(&[u8]);
    let targets: &[(&str, Body)] = &[
        ("decoder", fuzz_bodies::decoder),
        ("central", fuzz_bodies::central),
        ("recovery", fuzz_bodies::recovery),
        ("server_configuration", fuzz_bodies::server_configuration),
        ("client_configuration", fuzz_bodies::client_configuration),
        #[cfg(feature = "tls")]
        ("transport", fuzz_bodies::transport),
    ];
    for &(target, body) in targets {
        let folder = repository().join("fuzz/corpus").join(target);
        let files: Vec<_> =
            fs::read_dir(&folder).expect("a corpus").map(|entry| entry.expect("an entry").path()).collect();
        assert!(!files.is_empty(), "{} is empty", folder.display());
        for file in files {
            body(&fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())));
        }
    }
}
