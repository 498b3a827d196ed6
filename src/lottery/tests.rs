//! Tests of the rules.

use super::*;
use crate::bet::{Day, WINNER_NUMBER};

fn bet(agency: u32, document: u32, number: u32) -> Bet<'static> {
    let birthdate = Day::OLDEST_BIRTHDATE;
    let ana = "Ana".try_into().expect("a name");
    Bet { agency, first_name: ana, last_name: ana, document, birthdate, number }
}

fn stage(lottery: &mut Lottery, bet: Bet<'_>) {
    lottery.stage_bet(&bet);
    lottery.stage_tally(bet.agency, 1, &bet.document.to_be_bytes());
}

/// The tally of bets of these documents.
fn tally(documents: &[u32]) -> Tally {
    let mut tally = Tally::default();
    documents.iter().for_each(|document| tally.extend(1, &document.to_be_bytes()));
    tally
}

fn close(lottery: &mut Lottery, agency: u32) -> bool {
    lottery.stage_closing(agency);
    lottery.commit()
}

#[test]
fn the_draw_happens_once_with_the_last_closing() {
    let mut lottery = Lottery::new(2);
    assert!(!close(&mut lottery, 1));
    assert!(!close(&mut lottery, 1) && !lottery.is_drawn(), "closing twice is closing once");
    assert!(close(&mut lottery, 2) && lottery.is_drawn());
    assert!(!close(&mut lottery, 2));
}

#[test]
fn a_round_without_agencies_is_never_drawn() {
    let mut lottery = Lottery::new(0);
    assert!(!lottery.commit() && !lottery.is_drawn());
    assert_eq!(lottery.find(0), Err(Refusal::NoSuchAgency));
}

#[test]
fn winners_are_an_agencys_own_in_order_and_unknown_before_the_draw() {
    let mut lottery = Lottery::new(2);
    let bets = [(1, 30, WINNER_NUMBER), (2, 20, WINNER_NUMBER), (1, 11, 1), (1, 10, WINNER_NUMBER)];
    for (agency, document, number) in bets {
        stage(&mut lottery, bet(agency, document, number));
    }
    close(&mut lottery, 1);
    assert_eq!(lottery.winners(1), None);
    close(&mut lottery, 2);
    assert_eq!(lottery.winners(1), Some([30, 10].as_slice()));
    assert_eq!(lottery.winners(2), Some([20].as_slice()));
}

#[test]
fn the_number_that_was_set_wins_and_no_other() {
    let mut lottery = Lottery::new(1).with_winning_number(0);
    assert_eq!(lottery.restore_bet(&bet(1, 5, 0)), Ok(()));
    for (document, number) in [(6, WINNER_NUMBER), (7, 0), (8, 1)] {
        stage(&mut lottery, bet(1, document, number));
    }
    close(&mut lottery, 1);
    assert_eq!(lottery.winners(1), Some([5, 7].as_slice()));
}

#[test]
fn a_reverted_batch_leaves_what_was_staged_before_it() {
    let mut lottery = Lottery::new(1);
    stage(&mut lottery, bet(1, 1, WINNER_NUMBER));
    let mark = lottery.mark(1);
    stage(&mut lottery, bet(1, 2, WINNER_NUMBER));
    lottery.revert_to(mark);
    assert_eq!(lottery.stored(1), tally(&[]), "nothing is stored yet");
    close(&mut lottery, 1);
    assert_eq!(lottery.stored(1), tally(&[1]));
    assert_eq!(lottery.winners(1), Some([1].as_slice()));
}

#[test]
fn a_rolled_back_turn_leaves_no_bet_and_no_closing() {
    let mut lottery = Lottery::new(1);
    stage(&mut lottery, bet(1, 1, WINNER_NUMBER));
    lottery.stage_closing(1);
    assert_eq!(lottery.may_register(1), Err(Refusal::Closed), "from its AllBetsSent on");
    assert_eq!(lottery.staged_closings().collect::<Vec<_>>(), [(1, 1)]);
    lottery.rollback();
    assert_eq!(lottery.staged_closings().next(), None);
    assert_eq!((lottery.standing(1), lottery.stored(1)), (Standing::Open, tally(&[])));
    assert_eq!(lottery.may_register(1), Ok(()));
    assert!(close(&mut lottery, 1));
    assert_eq!(lottery.winners(1), Some([].as_slice()));
}

#[test]
fn a_restored_history_counts_as_if_it_had_been_committed() {
    let mut lottery = Lottery::new(2);
    assert_eq!(lottery.restore_bet(&bet(1, 7, WINNER_NUMBER)), Ok(()));
    lottery.restore_tally(1, 1, &7_u32.to_be_bytes());
    assert_eq!(lottery.restore_closing(1, 1), Ok(()));
    assert_eq!((lottery.standing(1), lottery.stored(1)), (Standing::Closed, tally(&[7])));
    assert_eq!(lottery.open_agencies().collect::<Vec<_>>(), [2]);
    assert!(close(&mut lottery, 2));
    assert_eq!(lottery.winners(1), Some([7].as_slice()));
}

#[test]
fn a_history_of_another_round_is_refused() {
    let mut lottery = Lottery::new(2);
    let no_such = |agency| Err(Contradiction::NoSuchAgency { agency, agencies: 2 });
    assert_eq!(lottery.restore_bet(&bet(3, 7, 1)), no_such(3));
    assert_eq!(lottery.restore_closing(0, 0), no_such(0));
    assert_eq!(lottery.require_round(2, WINNER_NUMBER), Ok(()));
    let other = Contradiction::OtherAgencies { stored: 3, agencies: 2 };
    assert_eq!(lottery.require_round(3, WINNER_NUMBER), Err(other));
    let other = Contradiction::OtherWinningNumber { stored: 7, winning_number: WINNER_NUMBER };
    assert_eq!(lottery.require_round(2, 7), Err(other));
    let missing = Contradiction::BetsMissing { agency: 1, closed_with: 1, stored: 0 };
    assert_eq!(lottery.restore_closing(1, 1), Err(missing));
}
