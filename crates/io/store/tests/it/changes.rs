//! What other instances are told, what the audit log keeps, and writes that are sent twice.

use tollgate_store::{Audit, AuditEntry, AuditFilter, AuditSort, Kind, Known, Once, Page, Stamp, Team, User};

use crate::world::{both, json, key, later, stamp, texts};

const ONCE: Once<'_> = Once { caller: "key", name: "name", request: "hash" };

both! {
    async fn every_write_is_told_in_its_order(world: World) {
        let store = world.store;
        let start = store.last_change().await.unwrap();
        store.insert_key(&key("one"), &stamp(1)).await.unwrap();
        store.insert_user(&User { user_id: "u".to_owned(), ..User::default() }, &stamp(2)).await.unwrap();
        let read = store.key("one").await.unwrap().unwrap();
        store.update_key(&read, 1, &stamp(3)).await.unwrap();
        let mut renewed = read.clone();
        renewed.token = "two".to_owned();
        store.regenerate_key("one", &renewed, 2, None, &stamp(4)).await.unwrap();
        store.delete_keys(&texts(["two"]), &stamp(5)).await.unwrap();

        let told = store.changes_since(start).await.unwrap();
        let what: Vec<_> = told.changes.iter().map(|change| (change.seq, change.kind, change.id.as_str())).collect();
        let wanted = [
            (1, Kind::Key, "one"),
            (2, Kind::User, "u"),
            (3, Kind::Key, "one"),
            (4, Kind::Key, "one"),
            (5, Kind::Key, "two"),
            (6, Kind::Key, "two"),
        ];
        assert_eq!(what, wanted);
        assert_eq!((told.last, told.gap, told.changes[2].at), (6, false, later(3)));
        let rest = store.changes_since(4).await.unwrap();
        assert_eq!((rest.changes.len(), rest.last, rest.gap), (2, 6, false));
        let nothing = store.changes_since(6).await.unwrap();
        assert_eq!((nothing.changes.len(), nothing.last, nothing.gap), (0, 6, false));
    }

    async fn a_team_takes_its_keys_and_members_with_it_and_tells_of_all(world: World) {
        let store = world.store;
        store.insert_team(&Team { team_id: "t".to_owned(), ..Team::default() }, &stamp(0)).await.unwrap();
        let team_id = Some("t".to_owned());
        store.insert_key(&tollgate_store::Key { team_id, ..key("one") }, &stamp(0)).await.unwrap();
        store.insert_key(&key("two"), &stamp(0)).await.unwrap();
        let member = tollgate_store::Member { team_id: "t".to_owned(), user_id: "u".to_owned(), ..Default::default() };
        store.insert_member(&member, &stamp(0)).await.unwrap();
        let start = store.last_change().await.unwrap();
        let (teams, keys) = store.delete_teams(&texts(["t", "none"]), &stamp(1)).await.unwrap();
        assert_eq!((teams.len(), keys.len(), keys[0].token.as_str()), (1, 1, "one"));
        assert!(store.members_of("t").await.unwrap().is_empty() && store.key("two").await.unwrap().is_some());
        let told = store.changes_since(start).await.unwrap();
        let kinds: Vec<_> = told.changes.iter().map(|change| change.kind).collect();
        assert_eq!(kinds, [Kind::Team, Kind::Key, Kind::Member]);
    }

    async fn a_user_takes_its_keys_and_places_with_it(world: World) {
        let store = world.store;
        store.insert_user(&User { user_id: "u".to_owned(), ..User::default() }, &stamp(0)).await.unwrap();
        let user_id = Some("u".to_owned());
        store.insert_key(&tollgate_store::Key { user_id, ..key("one") }, &stamp(0)).await.unwrap();
        for user in ["u", "v"] {
            let member = tollgate_store::Member { team_id: "t".to_owned(), user_id: user.to_owned(), ..Default::default() };
            store.insert_member(&member, &stamp(0)).await.unwrap();
        }
        let start = store.last_change().await.unwrap();
        let (users, keys) = store.delete_users(&texts(["u", "none"]), &stamp(1)).await.unwrap();
        assert_eq!((users.len(), keys.len(), store.members_of("t").await.unwrap().len()), (1, 1, 1));
        let told = store.changes_since(start).await.unwrap().changes;
        let what: Vec<_> = told.iter().map(|change| (change.kind, change.id.as_str(), change.other.as_deref())).collect();
        assert_eq!(what, [(Kind::User, "u", None), (Kind::Key, "one", None), (Kind::Member, "t", Some("u"))]);
    }

    async fn who_asks_too_late_is_told_of_the_gap(world: World) {
        let store = world.store;
        for number in 0..5 {
            store.insert_key(&key(&format!("{number}")), &stamp(number)).await.unwrap();
        }
        assert_eq!(store.prune_changes(later(3), 2).await.unwrap(), 2);
        assert_eq!(store.prune_changes(later(3), 2).await.unwrap(), 1);
        let late = store.changes_since(1).await.unwrap();
        assert_eq!((late.gap, late.last, late.changes.len()), (true, 5, 2));
        assert!(!store.changes_since(3).await.unwrap().gap);
        store.prune_changes(later(100), 100).await.unwrap();
        let late = store.changes_since(3).await.unwrap();
        assert_eq!((late.gap, late.last), (true, 5));
        assert!(!store.changes_since(5).await.unwrap().gap);
        // A database that was restored from a backup knows less than we do.
        let restored = store.changes_since(77).await.unwrap();
        assert_eq!((restored.gap, restored.last), (true, 5));
    }

    async fn writers_that_race_are_told_without_gaps(world: World) {
        let other = world.again().await;
        let write = async |store: &tollgate_store::Store, name: &str| {
            for number in 0..25 {
                store.insert_key(&key(&format!("{name}-{number}")), &stamp(0)).await.unwrap();
            }
        };
        let follow = async {
            let (mut last, mut seen) = (0, 0);
            while seen < 50 {
                let told = world.store.changes_since(last).await.unwrap();
                assert!(!told.gap, "after {last}: {told:?}");
                (last, seen) = (told.last, seen + told.changes.len());
            }
            last
        };
        let ((), (), last) = tokio::join!(write(&world.store, "a"), write(&other, "b"), follow);
        assert_eq!(last, 50);
    }

    async fn the_audit_log_is_written_with_the_change_or_not_at_all(world: World) {
        let store = world.store;
        let audit = Audit {
            id: "a1".to_owned(),
            changed_by: Some("ann".to_owned()),
            changed_by_key: Some("hash".to_owned()),
            action: "created".to_owned(),
            table_name: "LiteLLM_VerificationToken".to_owned(),
            object_id: "one".to_owned(),
            before: None,
            after: json("{}"),
        };
        let by = Stamp { audit: Some(audit.clone()), ..stamp(1) };
        store.insert_key(&key("one"), &by).await.unwrap();
        let again = Stamp { audit: Some(Audit { id: "a2".to_owned(), ..audit.clone() }), ..stamp(2) };
        store.insert_key(&key("one"), &again).await.unwrap_err();
        let page = Page { offset: 0, limit: 10 };
        let all = AuditFilter::default();
        let newest = (AuditSort::At, true);
        let entry = AuditEntry { at: later(1), audit };
        assert_eq!(store.audit_log(&all, newest, page).await.unwrap(), (vec![entry.clone()], 1));
        assert_eq!(store.audit_entry("a1").await.unwrap(), Some(entry));
        assert_eq!(store.audit_entry("a2").await.unwrap(), None);
        assert_eq!(store.prune_audit(later(1), 10).await.unwrap(), 0);
        assert_eq!(store.prune_audit(later(2), 10).await.unwrap(), 1);
        assert_eq!(store.audit_log(&all, newest, page).await.unwrap(), (Vec::new(), 0));
    }

    async fn the_audit_log_is_filtered_sorted_and_paged(world: World) {
        let store = world.store;
        for (number, (by, action)) in [("ann", "created"), ("bob", "updated"), ("ann", "deleted")].into_iter().enumerate() {
            let audit = Audit {
                id: format!("a{number}"),
                changed_by: Some(by.to_owned()),
                changed_by_key: Some(format!("hash-{by}")),
                action: action.to_owned(),
                table_name: "LiteLLM_VerificationToken".to_owned(),
                object_id: format!("50%-{number}"),
                before: None,
                after: json(&format!("{{\"team_id\":\"t{number}\"}}")),
            };
            let at = i64::try_from(number).unwrap();
            store.announce(Kind::Key, "k", &Stamp { audit: Some(audit), ..stamp(at) }).await.unwrap();
        }
        let found = async |filter: AuditFilter, sort, offset, limit| {
            let (entries, total) = store.audit_log(&filter, sort, Page { offset, limit }).await.unwrap();
            (entries.into_iter().map(|entry| entry.audit.id).collect::<Vec<_>>(), total)
        };
        let all = AuditFilter::default;
        assert_eq!(found(all(), (AuditSort::At, true), 1, 1).await, (texts(["a1"]), 3));
        assert_eq!(found(all(), (AuditSort::Action, false), 0, 9).await.0, ["a0", "a2", "a1"]);
        let ann = AuditFilter { changed_by: Some("ann".to_owned()), ..all() };
        assert_eq!(found(ann, (AuditSort::At, false), 0, 9).await, (texts(["a0", "a2"]), 2));
        let bobs = AuditFilter { changed_by_key: Some("hash-bob".to_owned()), action: Some("updated".to_owned()), ..all() };
        assert_eq!(found(bobs, (AuditSort::At, false), 0, 9).await.0, ["a1"]);
        let team = AuditFilter { value: Some("\"team_id\":\"t2\"".to_owned()), ..all() };
        assert_eq!(found(team, (AuditSort::At, false), 0, 9).await.0, ["a2"]);
        let words = |words: &str| AuditFilter { words: Some(words.to_owned()), ..all() };
        assert_eq!(found(words("0%-1"), (AuditSort::At, false), 0, 9).await.0, ["a1"]);
        assert_eq!(found(words("DELET"), (AuditSort::At, false), 0, 9).await.0, ["a2"]);
        let day = AuditFilter { from: Some(later(1)), to: Some(later(2)), ..all() };
        assert_eq!(found(day, (AuditSort::At, false), 0, 9).await.0, ["a1"]);
        assert_eq!(store.last_change().await.unwrap(), 3);
    }

    async fn a_write_that_is_sent_twice_is_done_once(world: World) {
        let (store, now, end, abandoned) = (world.store, later(0), later(100), later(-10));
        assert_eq!(store.begin_once(ONCE, now, end, abandoned).await.unwrap(), Known::New);
        assert_eq!(store.begin_once(ONCE, later(1), end, abandoned).await.unwrap(), Known::Running);
        let other = Once { request: "other", ..ONCE };
        assert_eq!(store.begin_once(other, later(1), end, abandoned).await.unwrap(), Known::Other);
        let stranger = Once { caller: "stranger", ..ONCE };
        assert_eq!(store.begin_once(stranger, later(1), end, abandoned).await.unwrap(), Known::New);
        store.finish_once(ONCE, 200, vec![0, 1, 255]).await.unwrap();
        assert_eq!(store.begin_once(ONCE, later(2), end, abandoned).await.unwrap(), Known::Done(200, vec![0, 1, 255]));
        // An answer is not forgotten by giving the key back late.
        store.forget_once(ONCE).await.unwrap();
        assert_eq!(store.begin_once(ONCE, later(2), end, abandoned).await.unwrap(), Known::Done(200, vec![0, 1, 255]));
        assert_eq!(store.begin_once(ONCE, end, later(200), abandoned).await.unwrap(), Known::New);
        store.forget_once(ONCE).await.unwrap();
        assert_eq!(store.begin_once(ONCE, end, later(200), abandoned).await.unwrap(), Known::New);
        // Whoever began it died.
        assert_eq!(store.begin_once(ONCE, later(150), later(200), later(149)).await.unwrap(), Known::New);
        assert_eq!(store.prune_once(later(199), 10).await.unwrap(), 1);
        assert_eq!(store.prune_once(later(200), 10).await.unwrap(), 1);
    }

    async fn of_two_who_send_the_same_write_one_does_it(world: World) {
        let other = world.again().await;
        for number in 0..20 {
            let name = format!("{number}");
            let once = Once { name: &name, ..ONCE };
            let ask = async |store: &tollgate_store::Store| store.begin_once(once, later(0), later(9), later(-9)).await.unwrap();
            let outcomes = tokio::join!(ask(&world.store), ask(&other));
            assert!(matches!(outcomes, (Known::New, Known::Running) | (Known::Running, Known::New)), "{outcomes:?}");
        }
    }
}
