//! Lists in which every name stands once.

/// The first that has the name of one before it.
pub(crate) fn first_twin<T, N: PartialEq>(list: &[T], name: impl Fn(&T) -> &N) -> Option<&T> {
    let has_twin =
        |(at, later): &(usize, &T)| list.iter().take(*at).any(|before| name(before) == name(later));
    list.iter().enumerate().find(has_twin).map(|(_, later)| later)
}
