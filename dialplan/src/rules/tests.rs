use super::*;
use crate::lookup::draws::Draws;
use crate::reading::{Class, Home, read};
use proptest::prelude::*;

fn call<'c>(number: &'c Number, account: &'c str) -> Call<'c> {
    let text = number.digits.as_str();
    Call {
        account,
        trunk: "procom",
        text,
        dialled: text,
        number: Some(number),
        variants: const { &Variants { whole: Vec::new(), cut: Vec::new() } },
        now_s: 1_767_600_000,
    }
}

fn number(text: &str) -> Number {
    read(text, &Home::new(Some("DK"), &[]).unwrap()).unwrap().number.unwrap()
}

fn names(rules: &Rules, text: &str, account: &str) -> Vec<String> {
    let number = number(text);
    let name = |tried: Tried<'_>| match tried {
        Tried::Applies(found) => Some(found.name),
        Tried::NotNow(_) => None,
    };
    rules.find(&call(&number, account)).into_iter().filter_map(name).collect()
}

#[test]
fn the_longest_prefix_that_applies_counts_and_others_stand_in_the_order_of_the_file() {
    let rules = Rules::parse(
        "[[route]]\nname = \"any\"\nfrom = \"*\"\nmatch = \"*\"\ntrunk = \"a\"\n\
         [[route]]\nname = \"dk\"\nprefix = \"+45\"\ntrunk = \"b\"\n\
         [[route]]\nname = \"cph\"\nfrom = \"bob\"\nprefix = [\"+4532\", \"+4533\"]\ntrunk = \"c\"\n\
         [[route]]\nname = \"block\"\nrange = \"+4532120000 - +4532129999\"\ntrunk = \"d\"\n\
         [[route]]\nname = \"expr\"\nregex = '\\+45(\\d{8})'\ntrunk = \"e\"\n",
    )
    .unwrap();
    assert_eq!(names(&rules, "+4532123456", "alice"), ["any", "dk", "block", "expr"]);
    assert_eq!(names(&rules, "+4532123456", "bob"), ["any", "cph", "block", "expr"]);
    assert_eq!(names(&rules, "+442079460018", "bob"), ["any"]);
}

#[test]
fn nothing_after_a_refusal_is_tried() {
    let rules = Rules::parse(
        "[[route]]\nname = \"a\"\nmatch = \"+45*\"\ntrunk = \"a\"\n\
         [[route]]\nname = \"no\"\nprefix = \"+4532\"\ndeny = \"not there\"\n\
         [[route]]\nname = \"b\"\nmatch = \"+45*\"\ntrunk = \"b\"\n",
    )
    .unwrap();
    assert_eq!(names(&rules, "+4532123456", "x"), ["a", "no"]);
    assert_eq!(names(&rules, "+4533123456", "x"), ["a", "b"]);
}

#[test]
fn emergency_premium_and_international_numbers_need_to_be_named() {
    let lets = |rule: &str, text: &str| {
        let rules = Rules::parse(&format!("[[route]]\ntrunk = \"t\"\n{rule}")).unwrap();
        let number = number(text);
        rules.find(&call(&number, "x")).iter().any(|tried| match tried {
            Tried::Applies(found) => found.objection(&number).is_none(),
            Tried::NotNow(_) => false,
        })
    };
    for (rule, text, is_let) in [
        ("match = \"*\"", "+4532123456", true),
        ("match = \"*\"", "+442079460018", false),
        ("match = \"+*\"", "+442079460018", false),
        ("match = \"+44*\"", "+442079460018", true),
        ("prefix = \"+44\"", "+442079460018", true),
        ("regex = '.*'", "+442079460018", false),
        ("regex = '.*'\nallow = [\"international\"]", "+442079460018", true),
        ("match = \"*\"\nallow = [\"international\"]", "+4590123456", false),
        ("match = \"+45*\"", "+4590123456", false),
        ("match = \"*\"\nallow = [\"premium\"]", "+4590123456", true),
        ("match = \"+4590123456\"", "+4590123456", true),
        ("match = \"1??\"", "112", false),
        ("match = \"112\"", "112", true),
        ("match = \"1??\"\nallow = [\"emergency\"]", "112", true),
        ("match = \"1??\"", "123", true),
        ("match = \"*\"", "123", false),
        ("match = \"*\"\nallow = [\"unknown\"]", "123", true),
        ("match = \"+45*\"", "+45901234567", false),
        ("match = \"+45*\"\nallow = [\"unknown\"]", "+45901234567", false),
        ("match = \"+45*\"\nallow = [\"unknown\", \"premium\"]", "+45901234567", true),
        ("range = \"+4511110000 - +4511119999\"", "+4511110000", true),
        ("match = \"+4511??????\"", "+4511110000", true),
        ("match = \"+4511*\"", "+4511110000", false),
    ] {
        assert_eq!(lets(rule, text), is_let, "{rule} {text}");
    }
}

#[test]
fn numbers_are_rewritten_into_numbers_only() {
    let rewritten = |rule: &str, text: &str| {
        let rules = Rules::parse(&format!("[[route]]\ntrunk = \"t\"\n{rule}")).unwrap();
        let number = number(text);
        let tried = rules.find(&call(&number, "x"));
        let Some(Tried::Applies(found)) = tried.first() else { panic!("{rule}") };
        found.rewritten(&number.digits)
    };
    for (rule, dialled) in [
        ("match = \"*\"", Some("+4532123456")),
        ("strip = 3\nprepend = \"0\"", Some("032123456")),
        ("strip = 1", Some("4532123456")),
        ("regex = '\\+45(..)(.*)'\nrewrite = \"9$2$1\"", Some("912345632")),
        ("regex = '\\+45(..)(.*)'\nrewrite = \"$0\"", Some("+4532123456")),
        ("strip = 11", None),
        ("strip = 200", None),
        ("rewrite = \"$7\"", None),
    ] {
        assert_eq!(rewritten(rule, "+4532123456").as_deref(), dialled, "{rule}");
    }
}

#[test]
fn a_broken_file_is_named_by_its_line() {
    for (file, line) in [
        ("[[route]]\nfrom = \"*\"\nmatch = \"*\"\ntrunk = 7\n", 4),
        (
            "[[route]]\ntrunk = \"a\"\n\n[[route]] # two\nmatch = \"*\"\nregex = \"(\"\ntrunk = \"b\"\n",
            5,
        ),
        ("[[route]]\ntrunk = \"a\"\n[[route]]\ntrunk = \"a\"\nregex = \"(\"\n", 5),
        ("[[route]]\ntrunk = \"a\"\nprefix = \"45a\"\n", 3),
        ("[[route]]\nmatch = \"*\"\n", 1),
        ("[[route]]\ntrunk = \"a\"\nfro = \"b\"\n", 3),
        ("[[route]]\ntrunk = \"a\"\nallow = [\"all\"]\n", 3),
        ("[[route]]\ntrunk = \"a\"\nzone = \"UTC\"\n", 3),
        ("[[route]]\ntrunk = \"a\"\nrewrite = \"a\"\n", 3),
        ("[[route]]\ntrunk = \"a\"\nregex = '(\\w{500}){500}'\n", 3),
        ("nonsense\n", 1),
    ] {
        let fault = Rules::parse(file).expect_err(file);
        assert_eq!(fault.line, Some(line), "{file}: {fault}");
    }
}

#[test]
fn weights_share_trunks_and_costs_order_them() {
    let file = "[[route]]\nchoose = \"weight\"\ntrunks = [{ trunk = \"a\", weight = 1, cost = 9 }, \
                { trunk = \"b\", weight = 3, cost = 2 }]\n";
    let rules = Rules::parse(file).unwrap();
    let firsts = (0..10_000).filter(|seed| {
        let mut draws = Draws::new(*seed);
        rules.actions[0].ordered(0, &mut draws)[0].trunk == "b"
    });
    let share = firsts.count();
    assert!((7300..7700).contains(&share), "{share}");
    let cheap = Rules::parse(&file.replace("\"weight\"", "\"cost\"")).unwrap();
    assert_eq!(cheap.actions[0].ordered(0, &mut Draws::new(1))[0].trunk, "b");
}

proptest! {
    #[test]
    fn no_file_panics(file in "\\PC{0,120}") {
        let _ = Rules::parse(&file);
        let _ = Rules::parse(&format!("[[route]]\ntrunk = \"a\"\n{file}"));
    }

    #[test]
    fn the_table_finds_what_a_list_would(
        prefixes in proptest::collection::vec("[+]?[0-9]{1,6}", 1..40),
        digits in "[+]?[0-9]{1,9}",
    ) {
        let texts: Vec<RuleText> = prefixes
            .iter()
            .map(|prefix| RuleText {
                prefix: prefix.as_str().into(),
                trunk: Some("t".into()),
                ..RuleText::default()
            })
            .collect();
        let rules = Rules::compile(&texts).unwrap();
        let number = Number {
            digits: digits.clone(),
            class: Class::Unknown,
            country: None,
            is_valid: false,
            resembles: None,
        };
        let longest = prefixes.iter().filter(|prefix| digits.starts_with(*prefix)).map(String::len).max();
        let expected: Vec<u32> = (0..)
            .zip(&prefixes)
            .filter(|(_, prefix)| digits.starts_with(*prefix) && Some(prefix.len()) == longest)
            .map(|(order, _)| order)
            .collect();
        let found: Vec<u32> = rules
            .find(&call(&number, "x"))
            .into_iter()
            .map(|tried| match tried {
                Tried::Applies(found) => found.order,
                Tried::NotNow(_) => unreachable!("no rule has a time"),
            })
            .collect();
        prop_assert_eq!(found, expected);
    }
}
