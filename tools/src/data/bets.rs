//! Made-up bets: their number for each agency, and people who could exist.

use std::io::{self, Write};

use fastrand::Rng;

/// First names and surnames, with accents, diaereses, apostrophes and spaces about as often as in real ones. None needs quotes
/// in CSV.
const WOMEN: &str = "María, Ana, Sofía, Lucía, Valentina, Camila, Julieta, Rocío, Florencia, Milagros, Graciela, Susana, Marta, \
                     Nélida, Beatriz, Teresa, Ángeles, Claudia, Gabriela, Natalia, Carolina, Mercedes, Luz, Guadalupe";
const MEN: &str = "Juan, José, Carlos, Jorge, Luis, Miguel, Roberto, Eduardo, Martín, Nicolás, Pablo, Diego, Lautaro, Nahuel, \
                   Santiago, Facundo, Bautista, Walter, Marcelo, Gustavo, Raúl, Íñigo, Tomás, Leandro";
const SURNAMES: &str = "González, Rodríguez, Gómez, López, Díaz, Pérez, García, Sánchez, Romero, Sosa, Torres, Flores, Acosta, \
                        Medina, Herrera, Aguirre, Pereyra, Molina, Castro, Rojas, Luna, Godoy, Vega, Ledesma, Núñez, Muñoz, \
                        Agüero, Peña, Ñáñez, Quispe, Mamani, Namuncurá, Rossi, Bianchi, Ferrari, Russo, De Luca, D'Angelo, \
                        Dell'Oro, Lo Giudice, De la Fuente, Del Valle, De los Santos, Echeverría, Goñi, Irigoyen, Müller, \
                        Schneider, Kowalski, Petrović, O'Connor, Mac Allister, Cohen, Haddad, Gonçalves, Nakamura, Kim";

/// Share of people with two first names, in percent.
const TWO_NAMES: u8 = 65;

/// The bets in the course's five files, and the proportions in which any other number of bets is spread.
const COURSE: [u64; 5] = [26_936, 25_518, 16_014, 9_238, 991];

/// The bets in the course's five files together: 78,697.
pub const COURSE_BETS: u64 = COURSE[0] + COURSE[1] + COURSE[2] + COURSE[3] + COURSE[4];

/// Bets for each of `agencies`, `bets` in all. Each agency ends at the whole number below its share of the line from 0 to
/// `bets`, so that the shares add up.
pub fn spread(bets: u64, agencies: u32) -> Vec<u64> {
    let weights = COURSE.iter().cycle().take(agencies as usize);
    let total: u64 = weights.clone().sum();
    let ends = weights.scan(0, |weight_so_far, weight| {
        *weight_so_far += weight;
        Some((u128::from(bets) * u128::from(*weight_so_far) / u128::from(total)) as u64)
    });
    ends.scan(0, |start, end| Some(end - std::mem::replace(start, end))).collect()
}

/// Number of people, each with a document of its own; after as many bets documents repeat. A prime that is 3 modulo 4, see
/// [`permuted`].
pub const PEOPLE: u64 = 37_799_887;

/// The lowest document, and the year of birth of its holder. Documents rise with the date of birth, by the same number each year,
/// which stays within three years of the real ones.
const FIRST_DOCUMENT: u64 = 10_000_000;
const FIRST_YEAR: u64 = 1952;
const DOCUMENTS_A_YEAR: u64 = 700_000;

/// Bets are on numbers below this.
const NUMBERS: u64 = 10_000;

/// A source of bets that are determined by its seed.
pub struct Generator {
    random: Rng,
    /// Index of the next person.
    next: u64,
    women: Vec<&'static str>,
    men: Vec<&'static str>,
    surnames: Vec<&'static str>,
}

impl Generator {
    pub fn new(seed: u64) -> Generator {
        let mut random = Rng::with_seed(seed);
        let next = random.u64(..PEOPLE);
        let [women, men, surnames] = [WOMEN, MEN, SURNAMES].map(|names| names.split(", ").collect());
        Generator { random, next, women, men, surnames }
    }

    /// Writes the next bet as a row of the course's format: `first,last,document,birthdate,number`, ended by CRLF.
    pub fn write_bet(&mut self, output: &mut impl Write) -> io::Result<()> {
        let random = &mut self.random;
        let first_names = if random.bool() { &self.women } else { &self.men };
        let mut pick = |names: &[&'static str]| names[random.usize(..names.len())];
        let (first, second, last) = (pick(first_names), pick(first_names), pick(&self.surnames));
        // The same name is not given twice.
        let (space, second) = if random.u8(..100) < TWO_NAMES && first != second { (" ", second) } else { ("", "") };

        let person = permuted(permuted(self.next));
        self.next = (self.next + 1) % PEOPLE;
        let (document, year) = (FIRST_DOCUMENT + person, FIRST_YEAR + person / DOCUMENTS_A_YEAR);
        // Day 28 is the last one that every month has.
        let (month, day) = (random.u64(1..=12), random.u64(1..=28));
        let number = random.u64(..NUMBERS);
        write!(output, "{first}{space}{second},{last},{document},{year}-{month:02}-{day:02},{number}\r\n")
    }
}

/// A permutation of the numbers below [`PEOPLE`] that needs no memory. Modulo a prime p that is 3 modulo 4, the squares of the
/// numbers up to p/2 are all different, and none of them is p minus another.
fn permuted(number: u64) -> u64 {
    let square = number * number % PEOPLE;
    if number <= PEOPLE / 2 { square } else { PEOPLE - square }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_agencies_have_the_courses_numbers_of_bets() {
        assert_eq!(spread(COURSE_BETS, 5), COURSE);
    }

    #[test]
    fn the_shares_of_the_agencies_add_up() {
        for agencies in [1, 2, 3, 5, 6, 7, 10, 99, 10_000] {
            for bets in [0, 1, 2, 5, 99, 200_000, 78_697, 1_000_000_000, u64::MAX] {
                let shares = spread(bets, agencies);
                assert_eq!(shares.len(), agencies as usize);
                assert_eq!(shares.iter().sum::<u64>(), bets, "{agencies} agencies");
            }
        }
    }

    #[test]
    fn every_person_comes_once_before_any_comes_again() {
        let mut has_come = vec![false; PEOPLE as usize];
        (0..PEOPLE).for_each(|person| has_come[permuted(person) as usize] = true);
        assert!(!has_come.contains(&false));
    }

    #[test]
    fn no_name_needs_quotes_and_none_is_listed_twice() {
        for names in [WOMEN, MEN, SURNAMES].map(|names| names.split(", ").collect::<Vec<&str>>()) {
            for (index, name) in names.iter().enumerate() {
                assert!(!names[..index].contains(name), "{name} is there twice");
                assert!(name.len() >= 2 && name.chars().all(|c| c.is_alphabetic() || " '".contains(c)), "{name}");
            }
        }
    }
}
