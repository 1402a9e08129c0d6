//! The order in which the places of a service are tried (RFC 2782).

use super::draws::Draws;
use super::{MAX_RECORDS, Srv};

/// Puts records in the order to try them: by priority, and within one by weighted draws.
#[must_use]
pub fn order(mut records: Vec<Srv>, draws: &mut Draws) -> Vec<Srv> {
    // Sorted whole first: the order in which a server lists them must not matter to a seed.
    records.sort();
    records.truncate(MAX_RECORDS);
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|record| record.priority) {
        let end = records.partition_point(|record| record.priority == priority);
        let mut rest: Vec<Srv> = records.drain(..end).collect();
        while !rest.is_empty() {
            let chosen = rest.remove(choose(&rest, draws));
            ordered.push(chosen);
        }
    }
    ordered
}

/// RFC 2782, "Weight": running sums with the records of weight 0 first, a draw up to the sum, and
/// the first record whose running sum is at least the draw.
///
/// A deliberate deviation from "choose a uniform random number between 0 and the sum computed
/// (inclusive)": 0 is drawn only where a record of weight 0 stands to gain by it. Else the first
/// record would have one share more than its weight, a lot where weights are 1 and 3.
fn choose(records: &[Srv], draws: &mut Draws) -> usize {
    let sum: u32 = records.iter().map(|record| u32::from(record.weight)).sum();
    let count = u32::try_from(records.len()).expect("at most MAX_RECORDS");
    if sum == 0 {
        return draws.up_to(count - 1) as usize;
    }
    // Sorted by weight, so those of weight 0 are first.
    let draw = if records[0].weight == 0 { draws.up_to(sum) } else { draws.up_to(sum - 1) + 1 };
    let mut running = 0;
    let reaches = |record: &Srv| {
        running += u32::from(record.weight);
        running >= draw
    };
    records.iter().position(reaches).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(priority: u16, weight: u16, target: &str) -> Srv {
        Srv { priority, weight, port: 5060, target: target.into() }
    }

    fn first_shares(records: &[Srv], names: &[&str]) -> Vec<f64> {
        let mut hits = vec![0_u32; names.len()];
        for seed in 0..10_000_u64 {
            let mut draws = Draws::new(seed.wrapping_mul(0x1234_5678_9abc_def1));
            let first = &order(records.to_vec(), &mut draws)[0].target;
            hits[names.iter().position(|name| name == first).unwrap()] += 1;
        }
        hits.into_iter().map(|hit| f64::from(hit) / 100.0).collect()
    }

    #[test]
    fn ten_thousand_draws_come_within_two_points_of_the_weights() {
        for weights in [[10, 20, 70], [60, 20, 20], [1, 1, 98], [33, 33, 34]] {
            let names = ["a", "b", "c"];
            let records: Vec<Srv> =
                names.iter().zip(weights).map(|(name, weight)| record(1, weight, name)).collect();
            let shares = first_shares(&records, &names);
            for (share, weight) in shares.iter().zip(weights) {
                assert!((share - f64::from(weight)).abs() < 2.0, "{shares:?} for {weights:?}");
            }
        }
    }

    /// The example of RFC 2782: 3 to 1 between new and old, and two of a later priority.
    #[test]
    fn the_example_of_the_standard_shares_three_to_one_and_falls_back() {
        let records = [
            record(0, 1, "old-slow-box"),
            record(0, 3, "new-fast-box"),
            record(1, 0, "sysadmins-box"),
            record(1, 0, "server"),
        ];
        let shares = first_shares(&records, &["old-slow-box", "new-fast-box"]);
        assert!((shares[0] - 25.0).abs() < 2.0 && (shares[1] - 75.0).abs() < 2.0, "{shares:?}");
        for seed in 0..100 {
            let ordered = order(records.to_vec(), &mut Draws::new(seed));
            assert!(ordered[..2].iter().all(|record| record.priority == 0));
            assert!(ordered[2..].iter().all(|record| record.priority == 1));
        }
    }

    #[test]
    fn weight_zero_is_chosen_seldom_beside_a_heavy_one() {
        let records = [record(0, 0, "idle"), record(0, 99, "busy")];
        let shares = first_shares(&records, &["idle", "busy"]);
        assert!(shares[0] > 0.0 && shares[0] < 2.5, "{shares:?}");
    }
}
