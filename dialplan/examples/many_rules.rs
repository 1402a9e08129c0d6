//! How long a look-up among 100,000 rules takes, and how much memory they need.
//! `cargo run --release -p dialplan --example many_rules`
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a measurement, on a terminal")]

use std::hint::black_box;
use std::time::Instant;

use dialplan::reading::{Home, Number, read};
use dialplan::rules::{Call, RuleText, Rules};

const RULES: u32 = 100_000;
const LOOKUPS: u32 = 200_000;

fn main() {
    let texts: Vec<RuleText> = (0..RULES)
        .map(|at| RuleText {
            prefix: format!("+{}", 1_000_000 + u64::from(at) * 7).as_str().into(),
            trunk: Some(format!("sip.carrier{}", at % 40)),
            cost: Some(at % 500),
            ..RuleText::default()
        })
        .collect();
    let text_bytes: usize = texts.iter().map(|text| text.prefix.all()[0].len()).sum();
    let begun = Instant::now();
    let rules = Rules::compile(&texts).expect("the rules are good");
    println!("{} rules compiled in {:?}", rules.len(), begun.elapsed());
    println!("{} bytes a rule, {text_bytes} of text", rules.size_bytes() / RULES as usize);
    let home = Home::default();
    let numbers: Vec<Number> = (0..1000)
        .filter_map(|at| {
            read(&format!("+{}", 10_000_000_000_u64 + at * 7_000_000 + at), &home).ok()?.number
        })
        .collect();
    let mut found = 0;
    let begun = Instant::now();
    for number in numbers.iter().cycle().take(LOOKUPS as usize) {
        let text = number.digits.as_str();
        let call = Call {
            account: "alice",
            trunk: "procom",
            text,
            dialled: text,
            variants: &dialplan::reading::Variants::default(),
            number: Some(number),
            now_s: 0,
        };
        found += black_box(rules.find(&call)).len();
    }
    println!("{:?} a look-up; {found} of {LOOKUPS} found a rule", begun.elapsed() / LOOKUPS);
}
