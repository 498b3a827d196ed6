//! The page, in a real browser: it follows a round to the draw, also across a restart of the server.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use loteria_tools::Process;

use crate::fixture::by_hand::{ALL_BETS_SENT, Bet, REGISTER_BET_OK, REQUEST_WINNERS, register_bets};
use crate::fixture::{Browser, Server, admin_address, keep_port, lasting_port, repository, rows, start, succeeded};

/// A page that stays at its address when the server is restarted.
fn keep_ports(command: &mut Command) {
    keep_port(command);
    command.env("ADMIN_ADDRESS", format!("127.0.0.1:{}", lasting_port()));
}

fn page_of(server: &Server, query: &str) -> String {
    format!("http://{}/?{query}", admin_address(&server.process))
}

fn stage_is(agency: u32, stage: &str) -> String {
    format!("document.querySelector('.tile[data-agency=\"{agency}\"]')?.dataset.stage === '{stage}'")
}

#[test]
fn the_page_follows_a_round_to_the_draw_across_a_restart() {
    let Some(browser) = Browser::start(1440, 900, "es-AR") else { return };
    let mut server = Server::start_with(3, keep_ports);
    browser.open(&page_of(&server, "lang=es"));
    browser.wait_until("document.body.dataset.live === 'yes'");
    browser.wait_until("document.getElementById('sentence').textContent === 'Esperando a las 3 agencias'");
    assert_eq!(browser.value("document.documentElement.lang"), "es");

    let parked = start(&mut server.agency_with_rows(2, &rows(500)));
    browser.wait_until(&stage_is(2, "waiting"));
    browser.wait_until("document.getElementById('sentence').textContent === 'Esperando a 1 y 3'");
    browser.wait_until("document.getElementById('bets').textContent === '500'");

    server.restart_after(|server| {
        server.terminate();
        browser.wait_until("document.body.dataset.live === 'no'");
        assert_eq!(browser.value("document.getElementById('bets').textContent"), "500", "the last state stays");
    });
    browser.wait_until("document.body.dataset.live === 'yes'");
    browser.wait_until(&stage_is(3, "missing"));

    let others = [1, 3].map(|id| start(&mut server.agency_with_rows(id, &rows(80))));
    others.into_iter().chain([parked]).for_each(|agency| _ = succeeded(agency));
    browser.wait_until("document.getElementById('sentence').textContent === 'Salió el 7574'");
    browser
        .wait_until("document.getElementById('detail').textContent.startsWith('3 apuestas ganadoras en 3 agencias')");
    for agency in 1..=3 {
        browser.wait_until(&stage_is(agency, "closed"));
        let winners = format!("document.querySelector('.tile[data-agency=\"{agency}\"] .winners').textContent");
        assert_eq!(browser.value(&winners), "1 ganadora");
    }
    browser.value("document.getElementById('language').click()");
    browser.wait_until("document.getElementById('sentence').textContent === '7574 wins'");
}

#[test]
fn the_page_of_ten_thousand_agencies_stays_small() {
    let Some(browser) = Browser::start(1440, 900, "en") else { return };
    let server = Server::start_with(10_000, keep_ports);
    let _connected = server.connect_as(7777);
    browser.open(&page_of(&server, "lang=en"));
    browser.wait_until("document.querySelectorAll('.tile').length === 60");
    browser.wait_until("document.getElementById('more').textContent.startsWith('60 of 10,000 are shown')");
    assert!(browser.value("document.querySelectorAll('*').length").as_u64().is_some_and(|elements| elements < 1200));
    browser.value("document.querySelector('#stages [data-stage=\"connected\"]').click()");
    browser.wait_until("document.querySelectorAll('.tile').length === 1");
    browser.wait_until(&stage_is(7777, "connected"));
    browser.value("document.querySelector('#stages [data-stage=\"connected\"]').click()");
    browser.value("setSearch('123')");
    browser.wait_until("document.querySelectorAll('.tile').length === 11");
}

/// The file of a picture of the documents, if they are to be written.
fn picture(name: &str) -> Option<PathBuf> {
    let folder = repository().join("docs");
    std::env::var_os("UPDATE_DOCS").map(|_| folder.join(format!("{name}.png")))
}

#[test]
fn the_pictures_of_the_documents_are_of_the_page() {
    let Some(browser) = Browser::start(1280, 900, "es-AR") else { return };
    let mut server = Server::start_with(5, keep_ports);
    let closed = [(1, 26_935), (2, 25_518), (4, 16_013)].map(|(id, bets)| server.park(id, &rows(bets)));
    // The lines begin anew.
    server.restart_after(Process::terminate);
    server.wait_for_snapshot(|snapshot| snapshot.connections.parked == 3);
    let mut sending = server.connect_as(3);
    let mut document = 0;
    // A line of a minute for the picture, and of one batch for the test.
    for turn in 0..if picture("page-light").is_some() { 600 } else { 1 } {
        let bets = 3 + (f64::from(turn) / 40.0).sin().mul_add(12.0, 12.0) as u32 + turn % 5;
        document += bets;
        let batch: Vec<Bet> = (document - bets..document).map(|document| Bet::of(3, document + 1, 1)).collect();
        sending.send(&register_bets(&batch)).expect(REGISTER_BET_OK);
        thread::sleep(Duration::from_millis(100));
    }
    browser.open(&page_of(&server, "lang=es&theme=light"));
    browser.wait_until("document.getElementById('sentence').textContent === 'Esperando a 3 y 5'");
    browser.wait_until(&stage_is(3, "connected"));
    assert_eq!(browser.value("getComputedStyle(document.body).backgroundColor"), "rgb(244, 242, 236)");
    if let Some(file) = picture("page-light") {
        browser.screenshot(&file);
    }
    sending.send(ALL_BETS_SENT).send(REQUEST_WINNERS);
    let last = start(&mut server.agency_with_rows(5, &rows(9_237)));
    closed.into_iter().chain([last]).for_each(|agency| _ = succeeded(agency));
    browser.open(&page_of(&server, "lang=en&theme=dark"));
    browser.wait_until("document.getElementById('sentence').textContent === '7574 wins'");
    assert_eq!(browser.value("getComputedStyle(document.body).backgroundColor"), "rgb(18, 22, 26)");
    if let Some(file) = picture("page-dark") {
        browser.screenshot(&file);
        assert!(fs::metadata(file).expect("written").len() < 200_000, "it is small");
    }
}
