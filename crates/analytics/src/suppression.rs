//! Withholding figures that are about too few: a cell of one would be about
//! someone.

/// A figure that is made of so many people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<T> {
    Shown {
        value: T,
        people: u64,
    },
    /// Made of at least one and too few, or needed to hide one that is.
    Withheld,
}

impl<T> Cell<T> {
    pub fn shown(self) -> Option<(T, u64)> {
        match self {
            Self::Shown { value, people } => Some((value, people)),
            Self::Withheld => None,
        }
    }
}

/// Withholds the cells of fewer than `minimum` people. Cells are published
/// with their total, so a single withheld cell could be computed from it: as
/// long as the withheld ones together are about too few, the smallest cell
/// that is left goes as well. An empty cell is about nobody and stays.
pub fn withhold<T>(cells: Vec<(T, u64)>, minimum: u64) -> Vec<Cell<T>> {
    let mut hidden: Vec<bool> =
        cells.iter().map(|(_, people)| (1..minimum).contains(people)).collect();
    loop {
        let together: u64 = total(&cells, &hidden);
        let count = hidden.iter().filter(|hidden| **hidden).count();
        if count == 0 || (count > 1 && together >= minimum) {
            break;
        }
        let next = (0..cells.len())
            .filter(|index| !hidden[*index] && cells[*index].1 > 0)
            .min_by_key(|index| cells[*index].1);
        let Some(next) = next else { break };
        hidden[next] = true;
    }
    cells
        .into_iter()
        .zip(hidden)
        .map(
            |((value, people), hidden)| {
                if hidden { Cell::Withheld } else { Cell::Shown { value, people } }
            },
        )
        .collect()
}

/// The total over all cells, withheld where it is itself about too few.
pub fn withhold_total<T>(value: T, people: u64, minimum: u64) -> Cell<T> {
    if (1..minimum).contains(&people) { Cell::Withheld } else { Cell::Shown { value, people } }
}

fn total<T>(cells: &[(T, u64)], hidden: &[bool]) -> u64 {
    cells.iter().zip(hidden).filter(|(_, hidden)| **hidden).map(|((_, people), _)| people).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn people(cells: &[u64], minimum: u64) -> Vec<Option<u64>> {
        withhold(cells.iter().map(|people| ((), *people)).collect(), minimum)
            .into_iter()
            .map(|cell| cell.shown().map(|(_, people)| people))
            .collect()
    }

    #[test]
    fn a_single_small_cell_takes_the_next_smallest_with_it() {
        assert_eq!(people(&[40, 3, 12, 0], 11), [Some(40), None, None, Some(0)]);
        assert_eq!(people(&[40, 12], 11), [Some(40), Some(12)]);
        assert_eq!(people(&[3], 11), [None]);
    }

    proptest! {
        #[test]
        fn what_is_withheld_cannot_be_computed_from_the_rest(
            cells in prop::collection::vec(0u64..60, 0..12), minimum in 1u64..20,
        ) {
            let shown = people(&cells, minimum);
            for people in shown.iter().flatten() {
                prop_assert!(*people == 0 || *people >= minimum);
            }
            let hidden: Vec<u64> = cells.iter().zip(&shown)
                .filter(|(_, shown)| shown.is_none()).map(|(people, _)| *people).collect();
            let total: u64 = cells.iter().sum();
            if withhold_total((), total, minimum) != Cell::Withheld && !hidden.is_empty() {
                let rest: u64 = shown.iter().flatten().sum();
                prop_assert!(total - rest >= minimum);
                prop_assert!(hidden.len() > 1 || cells.iter().filter(|c| **c > 0).count() == 1);
            }
        }
    }
}
