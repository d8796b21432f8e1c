use super::*;
use crate::cache::purge::tag;
use crate::cache::testing::at;

const PATIENCE: Duration = Duration::from_secs(60);

fn fleet() -> (Arc<Fleet>, Member) {
    let fleet = Arc::new(Fleet::default());
    let member = fleet.join();
    (fleet, member)
}

fn url(text: &str) -> Scope {
    Scope::Url(text.to_owned())
}

fn position(text: &str) -> Position {
    text.parse().unwrap()
}

/// Tells all that waits, and says what it was.
fn tell(fleet: &Fleet) -> Vec<Order> {
    let mut told = Vec::new();
    while let Some(batch) = fleet.next() {
        fleet.told(&batch, position("7-0"));
        told.extend(batch.orders);
    }
    told
}

#[test]
fn positions_are_read_as_they_are_written_and_in_order() {
    assert_eq!(position("1700000000000-3").to_string(), "1700000000000-3");
    assert!(position("2-0") > position("1-9") && position("2-10") > position("2-9"));
    for wrong in ["", "1", "-", "1-", "a-1", "1-1-1", "-1-1"] {
        assert_eq!(wrong.parse::<Position>(), Err(PositionError), "{wrong}");
    }
}

#[tokio::test]
async fn who_is_alone_tells_nobody() {
    let (fleet, member) = fleet();
    drop(member);
    assert_eq!(fleet.give(&[Scope::All], How::Hard).within(PATIENCE).await, Reach::Alone);
    assert!(fleet.next().is_none());
}

#[tokio::test]
async fn a_purge_reaches_the_fleet_when_it_is_told() {
    let (fleet, _member) = fleet();
    let telling = fleet.give(&[url("a")], How::Hard);
    assert_eq!(fleet.last_known(), Err(Untold));
    assert_eq!(tell(&fleet), [Order { scopes: vec![url("a")], how: How::Hard }]);
    assert_eq!(telling.within(PATIENCE).await, Reach::Fleet);
    assert_eq!((fleet.waiting(), fleet.last_known()), (0, Ok(Some(position("7-0")))));
}

#[tokio::test]
async fn a_purge_that_cannot_be_told_waits_for_better_times() {
    let (fleet, _member) = fleet();
    let telling = fleet.give(&[url("a")], How::Hard);
    let waiting = telling.within(PATIENCE);
    let failing = async {
        assert!(fleet.next().is_some());
        fleet.not_told();
    };
    assert_eq!(tokio::join!(waiting, failing).0, Reach::HereSoFar);
    assert_eq!(tell(&fleet).len(), 1, "it is told later");
}

#[test]
fn what_waits_together_is_told_together() {
    let (fleet, _member) = fleet();
    fleet.give(&[url("a")], How::Hard);
    fleet.give(&[url("b"), Scope::Tag(7)], How::Hard);
    fleet.give(&[url("c")], How::Soft(at(5)));
    fleet.give(&[url("d")], How::Hard);
    let scopes: Vec<_> = tell(&fleet).into_iter().map(|order| order.scopes).collect();
    assert_eq!(scopes, [vec![url("a"), url("b"), Scope::Tag(7)], vec![url("c")], vec![url("d")]]);
}

#[test]
fn what_is_being_told_is_not_added_to() {
    let (fleet, _member) = fleet();
    fleet.give(&[url("a")], How::Hard);
    let batch = fleet.next().unwrap();
    fleet.give(&[url("b")], How::Hard);
    fleet.told(&batch, position("1-0"));
    assert_eq!(tell(&fleet), [Order { scopes: vec![url("b")], how: How::Hard }]);
}

#[tokio::test]
async fn a_large_purge_is_told_in_parts_and_has_reached_the_fleet_with_the_last() {
    let (fleet, _member) = fleet();
    let scopes: Vec<_> = (0..100).map(|number| url(&format!("{number}{}", "x".repeat(60 << 10)))).collect();
    let telling = fleet.give(&scopes, How::Hard);
    let first = fleet.next().unwrap();
    fleet.told(&first, position("1-0"));
    assert!(first.orders.len() == BATCH && !fleet.progress.borrow().told.ge(&1));
    let told: Vec<_> = first.orders.into_iter().chain(tell(&fleet)).flat_map(|order| order.scopes).collect();
    assert_eq!(told, scopes);
    assert_eq!(telling.within(PATIENCE).await, Reach::Fleet);
}

#[test]
fn more_than_may_wait_becomes_a_purge_of_everything() {
    let (fleet, _member) = fleet();
    fleet.give(&[url("first")], How::Hard);
    let batch = fleet.next().unwrap();
    let long = "x".repeat(1 << 20);
    for _ in 0..9 {
        fleet.give(&[url(&long)], How::Soft(at(1)));
    }
    fleet.told(&batch, position("1-0"));
    assert_eq!(batch.orders.len(), 1);
    let told = tell(&fleet);
    assert_eq!(told.first(), Some(&Order { scopes: vec![Scope::All], how: How::Hard }));
    assert!(told.len() <= 2 && fleet.state().size == 0);
}

#[test]
fn what_was_heard_is_of_one_log() {
    let (fleet, _member) = fleet();
    assert_eq!(fleet.heard("a"), Heard::Nothing);
    fleet.hear(Heard::Nothing, position("5-0"));
    assert_eq!((fleet.heard("a"), fleet.position()), (Heard::Until(position("5-0")), Some(position("5-0"))));
    assert_eq!((fleet.heard("b"), fleet.position()), (Heard::TooLittle, None));
}

fn mark(text: &str) -> Bookmark {
    Bookmark::new("a", position(text))
}

fn until(text: &str) -> Heard {
    Heard::Until(position(text))
}

#[test]
fn bookmarks_are_read_as_they_are_written_and_are_of_one_log() {
    for bookmark in [None, Some(mark("5-7"))] {
        assert_eq!(Bookmark::from_numbers(Bookmark::to_numbers(bookmark)), bookmark);
    }
    assert_eq!((mark("5-7").within("a"), mark("5-7").within("b")), (Some(position("5-7")), None));
}

#[test]
fn a_store_that_was_away_has_its_purges_heard_again() {
    let (fleet, _member) = fleet();
    assert_eq!(fleet.heard("a"), Heard::Nothing);
    assert!(fleet.resume(Some(mark("3-0"))) && fleet.catches_up());
    assert_eq!((fleet.resumed(), fleet.bookmark()), (Some(position("3-0")), None));
    fleet.go_back(position("3-0"), true);
    assert_eq!((fleet.heard("a"), fleet.bookmark()), (until("3-0"), Some(mark("3-0"))));
    fleet.hear(until("3-0"), position("9-0"));
    assert!(fleet.resume(Some(mark("5-0"))));
    assert!(!fleet.is_up_to_date(until("9-0")) && fleet.catches_up(), "not what the store needs");
    fleet.go_back(position("5-0"), true);
    // Whoever read on from three does not know of that.
    fleet.hear(until("3-0"), position("10-0"));
    assert!(!fleet.is_up_to_date(until("10-0")) && fleet.catches_up());
    assert_eq!(fleet.heard("a"), until("5-0"));
    assert!(fleet.is_up_to_date(until("5-0")) && !fleet.catches_up());
    assert!(!fleet.is_up_to_date(until("5-0")), "nobody waited for that");
}

#[test]
fn a_store_that_knows_more_is_of_the_log_only_if_that_is_in_it() {
    for (is_known, then) in [(true, until("9-0")), (false, Heard::TooLittle)] {
        let (fleet, _member) = fleet();
        assert_eq!(fleet.heard("a"), Heard::Nothing);
        fleet.hear(Heard::Nothing, position("9-0"));
        assert!(fleet.resume(Some(mark("12-0"))));
        fleet.go_back(position("12-0"), is_known);
        assert_eq!(fleet.heard("a"), then);
    }
}

#[test]
fn a_store_of_which_nobody_knows_what_it_missed_does_not_count() {
    let (fleet, _member) = fleet();
    assert!(!fleet.resume(Some(mark("3-0"))), "there is no log");
    assert_eq!(fleet.heard("a"), Heard::Nothing);
    assert!(!fleet.resume(None) && !fleet.resume(Some(Bookmark::new("b", position("3-0")))));
    assert!(!fleet.catches_up() && fleet.heard("a") == Heard::Nothing);
    assert!(fleet.resume(Some(mark("3-0"))));
    assert_eq!(fleet.heard("b"), Heard::TooLittle);
    assert_eq!((fleet.resumed(), fleet.bookmark()), (None, None));
    assert!(!fleet.resume(Some(Bookmark::new("b", position("3-0")))), "everything is purged anyway");
}

#[test]
fn orders_are_read_as_they_were_written() {
    let (one, other) = (Fleet::default(), Fleet::default());
    for how in [How::Hard, How::Soft(at(77))] {
        let scopes =
            vec![Scope::Tag(tag(b"a")), url("https://a/"), Scope::Prefix("https://a/b".into()), Scope::All];
        let order = Order { scopes, how };
        let text = one.write(&order);
        assert_eq!(other.read(text.as_bytes()).unwrap(), Received { order: order.clone(), is_own: false });
        assert!(one.read(text.as_bytes()).unwrap().is_own);
    }
    for wrong in [
        "",
        "{}",
        r#"{ "by": "a", "tags": ["7"] }"#,
        r#"{ "by": "a", "tags": ["+00000000000000f"] }"#,
        r#"{ "by": "a", "hosts": [] }"#,
    ] {
        assert!(one.read(wrong.as_bytes()).is_err(), "{wrong}");
    }
}
