//! Lists: who is in them, in what order, and page after page.

use tollgate_store::{
    EpochMs, Key, KeyFilter, KeyListing, KeySort, KeyState, Member, OrganizationMember, Page, Sort, Store, Team,
    TeamFilter, User, UserFilter,
};

use crate::world::{NOW, both, dollars, json, key, later, stamp, texts};

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Ten keys of two users and two teams.
async fn ten(store: &Store) {
    for number in 0..10_i64 {
        let name = format!("key-{number}");
        let row = Key {
            key_alias: (number > 2).then(|| format!("Alias_{}%", 9 - number)),
            user_id: some(if number % 2 == 0 { "even" } else { "odd" }),
            team_id: (number > 6).then(|| "team".to_owned()),
            organization_id: (number == 3).then(|| "org".to_owned()),
            project_id: (number == 4).then(|| "project".to_owned()),
            agent_id: (number == 5).then(|| "agent".to_owned()),
            budget_id: (number == 6).then(|| "budget".to_owned()),
            access_group_ids: (number == 7).then(|| json(r#"["a","b\"c"]"#)).flatten(),
            blocked: (number == 8).then_some(true),
            expires: (number < 2).then(|| later(number)),
            key_rotation_at: (number == 9).then(|| later(9)),
            max_budget: (number == 1).then(|| dollars(5)).flatten(),
            created_by: some(if number == 0 { "odd" } else { "admin" }),
            created_at: EpochMs(NOW.0 + number / 2),
            ..key(&name)
        };
        store.insert_key(&row, &stamp(number)).await.unwrap();
    }
}

async fn listed(store: &Store, filter: KeyFilter) -> String {
    let listing = KeyListing { filter, sort: KeySort::Token, limit: 100, count: true, ..KeyListing::default() };
    let page = store.list_keys(&listing).await.unwrap();
    assert_eq!((page.total, page.next), (Some(i64::try_from(page.keys.len()).unwrap()), None));
    page.keys.iter().map(|(key, _)| key.token.trim_start_matches("key-")).collect()
}

both! {
    async fn keys_are_filtered_by_everything_that_litellm_knows(world: World) {
        let store = world.store;
        ten(&store).await;
        let all = KeyFilter::default;
        let cases = [
            (all(), "0123456789"),
            (KeyFilter { user_id: some("odd"), ..all() }, "13579"),
            (KeyFilter { user_id: some("odd"), creator: some("odd"), ..all() }, "013579"),
            (KeyFilter { user_id: some("odd"), teams: texts(["team", "x"]), ..all() }, "135789"),
            (KeyFilter { user_id: some("odd"), teams: texts(["team"]), state: Some(KeyState::Blocked), ..all() }, "8"),
            (KeyFilter { team_id: some("team"), user_id: some("even"), ..all() }, "8"),
            (KeyFilter { organization_id: some("org"), ..all() }, "3"),
            (KeyFilter { project_id: some("project"), ..all() }, "4"),
            (KeyFilter { agent_id: some("agent"), ..all() }, "5"),
            (KeyFilter { budget_id: some("budget"), ..all() }, "6"),
            (KeyFilter { access_group_id: some("b\"c"), ..all() }, "7"),
            (KeyFilter { access_group_id: some("b"), ..all() }, ""),
            (KeyFilter { token: some("key-2"), ..all() }, "2"),
            (KeyFilter { key_alias: some("Alias_6%"), ..all() }, "3"),
            (KeyFilter { alias_contains: some("alias_"), ..all() }, "3456789"),
            (KeyFilter { alias_contains: some("_6%"), ..all() }, "3"),
            (KeyFilter { alias_contains: some("a_i"), ..all() }, ""),
            (KeyFilter { search: some("key-4"), ..all() }, "4"),
            (KeyFilter { search: some("ey-4"), ..all() }, ""),
            (KeyFilter { search: some("LIAS_6"), ..all() }, "3"),
            (KeyFilter { search: some("eve"), ..all() }, "02468"),
            (KeyFilter { has_alias: true, ..all() }, "3456789"),
            (KeyFilter { without_team: some("team"), ..all() }, "0123456"),
            (KeyFilter { expires_before: Some(later(1)), ..all() }, "0"),
            (KeyFilter { rotates_before: Some(later(9)), ..all() }, "9"),
            (KeyFilter { has_spent: true, ..all() }, ""),
            (KeyFilter { state: Some(KeyState::Active(later(0))), ..all() }, "12345679"),
            (KeyFilter { state: Some(KeyState::Expired(later(0))), ..all() }, "0"),
            (KeyFilter { state: Some(KeyState::Blocked), ..all() }, "8"),
            (KeyFilter { state: Some(KeyState::Deleted), ..all() }, ""),
        ];
        for (filter, wanted) in cases {
            assert_eq!(listed(&store, filter.clone()).await, wanted, "{filter:?}");
        }
    }

    async fn pages_of_keys_follow_each_other_in_every_order(world: World) {
        let store = world.store;
        ten(&store).await;
        let sorts = [
            KeySort::CreatedAt,
            KeySort::UpdatedAt,
            KeySort::Alias,
            KeySort::Name,
            KeySort::Spend,
            KeySort::MaxBudget,
            KeySort::Expires,
            KeySort::User,
            KeySort::Team,
            KeySort::Token,
        ];
        for (sort, descending) in sorts.into_iter().flat_map(|sort| [(sort, false), (sort, true)]) {
            let listing = KeyListing { sort, descending, limit: 100, ..KeyListing::default() };
            let whole = store.list_keys(&listing).await.unwrap().keys;
            assert_eq!(whole.len(), 10, "{sort:?}");
            // By number, also those that are nearer to the end.
            for (offset, limit) in [(0, 3), (4, 3), (6, 2), (6, 3), (8, 3), (9, 1), (10, 3), (40, 3)] {
                let asked = KeyListing { offset, limit, count: true, ..listing.clone() };
                let page = store.list_keys(&asked).await.unwrap();
                let (from, to) = (usize::try_from(offset.min(10)).unwrap(), usize::try_from((offset + limit).min(10)).unwrap());
                assert_eq!(page.keys, whole[from..to], "{sort:?} {descending} {offset} {limit}");
                assert_eq!(page.next.is_some(), to < 10, "{sort:?} {descending} {offset} {limit}");
            }
            let (mut paged, mut after) = (Vec::new(), None);
            loop {
                let page = store.list_keys(&KeyListing { after, limit: 3, ..listing.clone() }).await.unwrap();
                paged.extend(page.keys);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(paged, whole, "{sort:?} {descending}");
            let second = store.list_keys(&KeyListing { offset: 3, limit: 3, ..listing }).await.unwrap();
            assert_eq!(second.keys, whole[3..6], "{sort:?} {descending}");
        }
        let newest = KeyListing { descending: true, limit: 2, ..KeyListing::default() };
        let newest: Vec<_> = store.list_keys(&newest).await.unwrap().keys.into_iter().map(|(key, _)| key.token).collect();
        assert_eq!(newest, ["key-9", "key-8"]);
    }

    async fn users_and_teams_are_filtered_and_sorted(world: World) {
        let store = world.store;
        for (number, name) in (0_i64..).zip(["ann", "bob", "cyd"]) {
            let user = User {
                user_id: name.to_owned(),
                user_email: Some(format!("{name}@Example.org")),
                user_role: some(if number == 0 { "proxy_admin" } else { "internal_user" }),
                sso_user_id: Some(format!("sso-{name}")),
                max_budget: dollars(3 - number),
                created_at: later(number),
                ..User::default()
            };
            store.insert_user(&user, &stamp(number)).await.unwrap();
            let team = Team { team_id: format!("t-{name}"), team_alias: Some(format!("Team {name}")), ..Team::default() };
            store.insert_team(&team, &stamp(number)).await.unwrap();
            let member = Member { team_id: format!("t-{name}"), user_id: name.to_owned(), ..Member::default() };
            store.insert_member(&member, &stamp(number)).await.unwrap();
        }
        let member = OrganizationMember { organization_id: "o".to_owned(), user_id: "cyd".to_owned(), ..Default::default() };
        store.insert_organization_member(&member, &stamp(0)).await.unwrap();
        let all = UserFilter::default;
        let cases = [
            (all(), "ann bob cyd"),
            (UserFilter { ids: Some(texts(["bob", "none"])), ..all() }, "bob"),
            (UserFilter { ids: Some(Vec::new()), ..all() }, ""),
            (UserFilter { sso_ids: Some(texts(["sso-cyd"])), ..all() }, "cyd"),
            (UserFilter { role: some("internal_user"), ..all() }, "bob cyd"),
            (UserFilter { email_contains: some("B@example"), ..all() }, "bob"),
            (UserFilter { team_id: some("t-ann"), ..all() }, "ann"),
            (UserFilter { organization_id: some("o"), ..all() }, "cyd"),
        ];
        let whole = Page { offset: 0, limit: 10 };
        for (filter, wanted) in cases {
            let found = store.list_users(&filter, Sort::CreatedAt, false, whole).await.unwrap();
            let names: Vec<_> = found.rows.iter().map(|(user, _)| user.user_id.as_str()).collect();
            assert_eq!((names.join(" ").as_str(), found.total), (wanted, i64::try_from(names.len()).unwrap()), "{filter:?}");
        }
        for sort in [Sort::MaxBudget, Sort::Id, Sort::Alias, Sort::Spend, Sort::UpdatedAt, Sort::Place, Sort::Address] {
            let page = Page { offset: 1, limit: 1 };
            let users = store.list_users(&all(), sort, true, page).await.unwrap();
            assert_eq!((users.rows.len(), users.total), (1, 3), "{sort:?}");
            let second = if sort == Sort::Place { "cyd" } else { "bob" };
            assert_eq!(users.rows[0].0.user_id, second, "{sort:?}");
            let teams = store.list_teams(&TeamFilter::default(), sort, true, page).await.unwrap();
            assert_eq!((teams.rows.len(), teams.total), (1, 3), "{sort:?}");
        }
        let teams = [
            TeamFilter { user_id: some("bob"), ..TeamFilter::default() },
            TeamFilter { alias_contains: some("M B"), ..TeamFilter::default() },
            TeamFilter { ids: Some(texts(["t-bob"])), ..TeamFilter::default() },
        ];
        for filter in teams {
            let found = store.list_teams(&filter, Sort::Alias, false, whole).await.unwrap();
            assert_eq!(found.rows.iter().map(|(team, _)| team.team_id.as_str()).collect::<Vec<_>>(), ["t-bob"], "{filter:?}");
        }
    }
}
