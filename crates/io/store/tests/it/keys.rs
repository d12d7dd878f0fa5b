//! Keys: what is written is read again, and nothing is written over what somebody else wrote.

use tollgate_store::{
    Budget, Key, KeyFilter, KeyListing, KeyState, Member, NanoDollars, Organization, Project, StoreError, Team, User,
};

use crate::world::{NOW, both, dollars, json, key, later, stamp, texts};

/// A key in which every column has a value.
fn full(name: &str) -> Key {
    Key {
        token: name.to_owned(),
        origin: format!("origin-{name}"),
        key_name: Some("sk-...abcd".to_owned()),
        key_alias: Some(format!("alias-{name}")),
        user_id: Some("user".to_owned()),
        team_id: Some("team".to_owned()),
        organization_id: Some("organization".to_owned()),
        project_id: Some("project".to_owned()),
        agent_id: Some("agent".to_owned()),
        budget_id: Some("budget".to_owned()),
        blocked: Some(false),
        key_type: Some("llm_api".to_owned()),
        expires: Some(later(60)),
        models: json(r#"["gpt-5","ein “Modell”"]"#),
        aliases: json(r#"{"a":"b"}"#),
        config: json("{}"),
        permissions: json("{}"),
        metadata: json(r#"{"x":[1,2.5,null]}"#),
        tags: json(r#"["t"]"#),
        allowed_routes: json(r#"["/chat/completions"]"#),
        allowed_cache_controls: json("[]"),
        access_group_ids: json(r#"["g"]"#),
        max_budget: dollars(10),
        soft_budget: dollars(9),
        budget_duration: Some("30d".to_owned()),
        budget_reset_at: Some(later(100)),
        budget_limits: json("[]"),
        temp_budget_increase: dollars(1),
        temp_budget_expiry: Some(later(200)),
        model_max_budget: json("{}"),
        model_rpm_limit: json("{}"),
        model_tpm_limit: json("{}"),
        max_parallel_requests: Some(3),
        tpm_limit: Some(i64::MAX),
        rpm_limit: Some(0),
        tpd_limit: Some(5),
        router_settings: json("{}"),
        object_permission: json("{}"),
        auto_rotate: Some(true),
        rotation_interval: Some("90d".to_owned()),
        rotation_count: 2,
        last_rotation_at: Some(later(-5)),
        key_rotation_at: Some(later(500)),
        settings_updated_at: Some(later(-1)),
        last_active: Some(later(-2)),
        rest: json(r#"{"guardrails":["g"]}"#),
        created_at: NOW,
        created_by: Some("creator".to_owned()),
        updated_at: NOW,
        updated_by: Some("creator".to_owned()),
        version: 1,
    }
}

both! {
    async fn all_that_is_written_of_a_key_is_read_again(world: World) {
        let (store, mut written) = (world.store, full("one"));
        store.insert_key(&written, &stamp(0)).await.unwrap();
        written.updated_by = Some("admin".to_owned());
        assert_eq!(store.key("one").await.unwrap(), Some(written.clone()));
        assert_eq!(store.find_keys(&texts(["none", "one", "one"])).await.unwrap(), [written.clone()]);
        assert_eq!(store.keys_by_alias(&texts(["alias-one"])).await.unwrap(), [written]);
        assert_eq!(store.key("none").await.unwrap(), None);
    }

    async fn a_key_comes_with_all_that_limits_it(world: World) {
        let (store, by) = (world.store, stamp(0));
        for id in ["budget", "of-member", "of-organization", "of-project"] {
            let budget = Budget { budget_id: id.to_owned(), max_budget: dollars(1), ..Budget::default() };
            store.insert_budget(&budget, &by).await.unwrap();
        }
        store.insert_user(&User { user_id: "user".to_owned(), rpm_limit: Some(7), ..User::default() }, &by).await.unwrap();
        let team = Team { team_id: "team".to_owned(), member_budget_id: Some("of-member".to_owned()), ..Team::default() };
        store.insert_team(&team, &by).await.unwrap();
        let member = Member { team_id: "team".to_owned(), user_id: "user".to_owned(), role: "user".to_owned(), ..Member::default() };
        store.insert_member(&member, &by).await.unwrap();
        let budget_id = Some("of-organization".to_owned());
        let organization = Organization { organization_id: "organization".to_owned(), budget_id, ..Organization::default() };
        store.insert_organization(&organization, &by).await.unwrap();
        let budget_id = Some("of-project".to_owned());
        store.insert_project(&Project { project_id: "project".to_owned(), budget_id, ..Project::default() }, &by).await.unwrap();
        store.insert_key(&full("one"), &by).await.unwrap();

        let view = store.find_key("one", NOW).await.unwrap().unwrap();
        assert_eq!(view.key, store.key("one").await.unwrap().unwrap());
        assert_eq!((view.spend, view.old_until), (NanoDollars(0), None));
        assert_eq!(view.budget.unwrap().budget_id, "budget");
        assert_eq!(view.user.unwrap().rpm_limit, Some(7));
        assert_eq!(view.team.unwrap().team_id, "team");
        assert_eq!(view.member.unwrap().role, "user");
        assert_eq!(view.member_budget.unwrap().budget_id, "of-member");
        assert_eq!(view.organization.unwrap().organization_id, "organization");
        assert_eq!(view.organization_budget.unwrap().budget_id, "of-organization");
        assert_eq!(view.project.unwrap().project_id, "project");
        assert_eq!(view.project_budget.unwrap().budget_id, "of-project");

        store.insert_key(&key("alone"), &by).await.unwrap();
        let view = store.find_key("alone", NOW).await.unwrap().unwrap();
        assert_eq!((view.user, view.team, view.member, view.member_budget), (None, None, None, None));
        assert_eq!((view.budget, view.organization, view.organization_budget), (None, None, None));
        assert_eq!((view.project, view.project_budget), (None, None));
        assert_eq!(store.find_key("nobody", NOW).await.unwrap(), None);
    }

    async fn the_organization_of_a_team_limits_its_keys(world: World) {
        let (store, by) = (world.store, stamp(0));
        let organization = Organization { organization_id: "o".to_owned(), ..Organization::default() };
        store.insert_organization(&organization, &by).await.unwrap();
        let organization_id = Some("o".to_owned());
        store.insert_team(&Team { team_id: "t".to_owned(), organization_id, ..Team::default() }, &by).await.unwrap();
        store.insert_key(&Key { team_id: Some("t".to_owned()), ..key("one") }, &by).await.unwrap();
        let view = store.find_key("one", NOW).await.unwrap().unwrap();
        assert_eq!(view.organization.unwrap().organization_id, "o");
    }

    async fn tokens_aliases_and_origins_are_unique(world: World) {
        let (store, by) = (world.store, stamp(0));
        let alias = Some("name".to_owned());
        store.insert_key(&Key { key_alias: alias.clone(), ..key("one") }, &by).await.unwrap();
        let taken = |what| Err(StoreError::Taken { what });
        assert_eq!(store.insert_key(&Key { origin: "new".to_owned(), ..key("one") }, &by).await, taken("the id"));
        assert_eq!(store.insert_key(&Key { key_alias: alias.clone(), ..key("two") }, &by).await, taken("key_alias"));
        assert_eq!(store.insert_key(&Key { token: "three".to_owned(), ..key("one") }, &by).await, taken("origin"));
        store.insert_key(&key("two"), &by).await.unwrap();
        let renamed = Key { key_alias: alias, ..store.key("two").await.unwrap().unwrap() };
        assert_eq!(store.update_key(&renamed, 1, &by).await, Err(StoreError::Taken { what: "key_alias" }));
        // What failed left nothing behind.
        assert_eq!(store.last_change().await.unwrap(), 2);
    }

    async fn a_change_is_made_only_to_the_version_that_was_read(world: World) {
        let store = world.store;
        store.insert_key(&full("one"), &stamp(0)).await.unwrap();
        let mut read = store.key("one").await.unwrap().unwrap();
        read.rpm_limit = Some(1);
        read.key_alias = None;
        // These are not the caller's to change.
        (read.origin, read.last_active, read.created_by) = ("other".to_owned(), None, None);
        assert_eq!(store.update_key(&read, 1, &stamp(9)).await, Ok(2));
        let now = store.key("one").await.unwrap().unwrap();
        let wanted = Key {
            rpm_limit: Some(1),
            key_alias: None,
            version: 2,
            updated_at: later(9),
            updated_by: Some("admin".to_owned()),
            ..full("one")
        };
        assert_eq!(now, wanted);
        assert_eq!(store.update_key(&read, 1, &stamp(10)).await, Err(StoreError::Stale));
        assert_eq!(store.update_key(&key("none"), 1, &stamp(10)).await, Err(StoreError::Missing));
        assert_eq!(store.key("one").await.unwrap().unwrap(), wanted);
    }

    async fn of_two_who_change_the_same_version_one_is_told(world: World) {
        let other = world.again().await;
        world.store.insert_key(&key("one"), &stamp(0)).await.unwrap();
        let read = world.store.key("one").await.unwrap().unwrap();
        for version in 1..20 {
            let (one, two) = (stamp(1), stamp(2));
            let (first, second) =
                tokio::join!(world.store.update_key(&read, version, &one), other.update_key(&read, version, &two));
            let outcomes = [first, second];
            assert!(outcomes.contains(&Ok(version + 1)) && outcomes.contains(&Err(StoreError::Stale)), "{outcomes:?}");
        }
    }

    async fn a_deleted_key_is_kept_and_its_names_are_free(world: World) {
        let store = world.store;
        store.insert_key(&full("one"), &stamp(0)).await.unwrap();
        let before = store.key("one").await.unwrap().unwrap();
        assert_eq!(store.delete_keys(&texts(["none", "one"]), &stamp(5)).await.unwrap(), std::slice::from_ref(&before));
        assert_eq!(store.find_key("one", NOW).await.unwrap(), None);
        let kept = store.deleted_keys(&texts(["one"])).await.unwrap();
        assert_eq!((&kept[0].key, kept[0].deleted_at), (&before, later(5)));
        assert_eq!(kept[0].deleted_by.as_deref(), Some("admin"));
        store.insert_key(&Key { origin: "again".to_owned(), ..full("one") }, &stamp(6)).await.unwrap();
        store.delete_keys(&texts(["one"]), &stamp(7)).await.unwrap();
        let kept = store.deleted_keys(&texts(["one"])).await.unwrap();
        assert_eq!(kept.iter().map(|kept| kept.deleted_at).collect::<Vec<_>>(), [later(7), later(5)]);
        let filter = KeyFilter { state: Some(KeyState::Deleted), ..KeyFilter::default() };
        let listed = store.list_keys(&KeyListing { filter, limit: 10, count: true, ..KeyListing::default() }).await.unwrap();
        assert_eq!((listed.total, listed.keys.len()), (Some(2), 2));
    }

    async fn a_regenerated_key_is_found_by_both_tokens_for_a_while(world: World) {
        let store = world.store;
        store.insert_key(&full("one"), &stamp(0)).await.unwrap();
        let renewed = Key { token: "two".to_owned(), rotation_count: 3, ..store.key("one").await.unwrap().unwrap() };
        assert_eq!(store.regenerate_key("one", &renewed, 1, Some(later(60)), &stamp(1)).await, Ok(2));
        let by_new = store.find_key("two", later(2)).await.unwrap().unwrap();
        assert_eq!((by_new.key.origin.as_str(), by_new.key.rotation_count, by_new.old_until), ("origin-one", 3, None));
        let by_old = store.find_key("one", later(2)).await.unwrap().unwrap();
        assert_eq!((by_old.key.token.as_str(), by_old.old_until), ("two", Some(later(60))));
        assert_eq!(store.find_key("one", later(60)).await.unwrap(), None);

        // Another key cannot take a token that works, and an older token follows to the newest key.
        let thief = Key { token: "one".to_owned(), ..key("thief") };
        assert_eq!(store.insert_key(&thief, &stamp(2)).await, Err(StoreError::Taken { what: "the id" }));
        let third = Key { token: "three".to_owned(), ..by_new.key };
        store.regenerate_key("two", &third, 2, None, &stamp(3)).await.unwrap();
        assert_eq!(store.find_key("one", later(4)).await.unwrap().unwrap().key.token, "three");
        assert_eq!(store.find_key("two", later(4)).await.unwrap(), None);
        assert_eq!(store.regenerate_key("two", &third, 3, None, &stamp(5)).await, Err(StoreError::Missing));
        assert_eq!(store.regenerate_key("three", &third, 2, None, &stamp(5)).await, Err(StoreError::Stale));

        store.delete_keys(&texts(["three"]), &stamp(6)).await.unwrap();
        assert_eq!(store.find_key("one", later(7)).await.unwrap(), None);
        store.insert_key(&thief, &stamp(8)).await.unwrap();
    }

    async fn a_token_that_works_no_longer_can_be_taken_and_is_pruned(world: World) {
        let store = world.store;
        store.insert_key(&key("one"), &stamp(0)).await.unwrap();
        let read = store.key("one").await.unwrap().unwrap();
        store.regenerate_key("one", &Key { token: "two".to_owned(), ..read }, 1, Some(later(9)), &stamp(1)).await.unwrap();
        assert_eq!(store.prune_old_tokens(later(8), 10).await.unwrap(), 0);
        assert_eq!(store.prune_old_tokens(later(9), 10).await.unwrap(), 1);
        store.insert_key(&Key { origin: "new".to_owned(), ..key("one") }, &stamp(2)).await.unwrap();
    }

    async fn several_keys_are_added_together_or_not_at_all(world: World) {
        let store = world.store;
        store.insert_keys(&[key("one"), key("two")], &stamp(0)).await.unwrap();
        let refused = store.insert_keys(&[key("three"), Key { origin: "new".to_owned(), ..key("one") }], &stamp(1)).await;
        assert_eq!(refused, Err(StoreError::Taken { what: "the id" }));
        assert_eq!(store.key("three").await.unwrap(), None);
    }
}
