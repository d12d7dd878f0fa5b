//! Users, teams and all the others: what is written is read again.

use tollgate_store::{
    Budget, ConfigRow, Credential, Customer, Member, Model, Organization, OrganizationMember, Page, Project,
    StoreError, Tag, Team, User,
};

use crate::world::{NOW, both, dollars, json, later, stamp, texts};

const PAGE: Page = Page { offset: 0, limit: 10 };

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn user() -> User {
    User {
        user_id: "u".to_owned(),
        user_alias: some("Ann"),
        user_email: some("ann@example.org"),
        user_role: some("internal_user"),
        team_id: some("t"),
        organization_id: some("o"),
        sso_user_id: some("sso"),
        password: some("scrypt:x"),
        blocked: Some(true),
        models: json("[]"),
        metadata: json("{}"),
        max_budget: dollars(1),
        budget_duration: some("1d"),
        budget_reset_at: Some(later(1)),
        budget_limits: json("[]"),
        max_parallel_requests: Some(1),
        tpm_limit: Some(2),
        rpm_limit: Some(3),
        tpd_limit: Some(4),
        model_max_budget: json("{}"),
        object_permission: json("{}"),
        rest: json("{}"),
        created_at: NOW,
        created_by: some("creator"),
        updated_at: NOW,
        updated_by: some("admin"),
        version: 1,
    }
}

fn team() -> Team {
    Team {
        team_id: "t".to_owned(),
        team_alias: some("Team"),
        organization_id: some("o"),
        blocked: true,
        models: json("[]"),
        model_aliases: json("{}"),
        metadata: json("{}"),
        tags: json("[]"),
        max_budget: dollars(1),
        soft_budget: dollars(2),
        budget_duration: some("1d"),
        budget_reset_at: Some(later(1)),
        budget_limits: json("[]"),
        max_parallel_requests: Some(1),
        tpm_limit: Some(2),
        rpm_limit: Some(3),
        tpd_limit: Some(4),
        model_max_budget: json("{}"),
        model_rpm_limit: json("{}"),
        model_tpm_limit: json("{}"),
        member_budget_id: some("b"),
        team_member_permissions: json("[]"),
        default_team_member_models: json("[]"),
        access_group_ids: json("[]"),
        router_settings: json("{}"),
        object_permission: json("{}"),
        rest: json("{}"),
        created_at: NOW,
        created_by: some("creator"),
        updated_at: NOW,
        updated_by: some("admin"),
        version: 1,
    }
}

/// Adds a row, reads it, changes it, is refused the second time, lists it and deletes it.
macro_rules! lives {
    ($store:expr, $row:expr, $id:ident, $insert:ident, $update:ident, $find:ident, $find_some:ident, $list:expr, $delete:ident) => {
        let row = $row;
        let id = row.$id.clone();
        $store.$insert(&row, &stamp(0)).await.unwrap();
        assert!(matches!($store.$insert(&row, &stamp(0)).await, Err(StoreError::Taken { .. })));
        let read = $store.$find(&id).await.unwrap().unwrap();
        let mut wanted = row.clone();
        (wanted.version, wanted.updated_at, wanted.updated_by) = (1, NOW, some("admin"));
        assert_eq!(read, wanted);
        let mut changed = read.clone();
        changed.created_by = some("liar");
        assert_eq!($store.$update(&changed, 1, &stamp(1)).await, Ok(2));
        assert_eq!($store.$update(&changed, 1, &stamp(1)).await, Err(StoreError::Stale));
        (wanted.version, wanted.updated_at) = (2, later(1));
        assert_eq!($store.$find_some(&texts(["none", &id])).await.unwrap(), [wanted.clone()]);
        let listed = $list;
        assert_eq!(listed.rows.iter().map(|(row, _)| row).collect::<Vec<_>>(), [&wanted]);
        assert_eq!(listed.total, 1);
        $store.$delete(&texts(["none", &id]), &stamp(2)).await.unwrap();
        assert_eq!($store.$find(&id).await.unwrap(), None);
        assert_eq!($store.$update(&changed, 2, &stamp(1)).await, Err(StoreError::Missing));
    };
}

both! {
    async fn users_and_teams_live(world: World) {
        let store = world.store;
        let users = async || store.list_users(&<_>::default(), <_>::default(), false, PAGE).await.unwrap();
        lives!(store, user(), user_id, insert_user, update_user, user, find_users, users().await, delete_users);
        let teams = async || store.list_teams(&<_>::default(), <_>::default(), false, PAGE).await.unwrap();
        lives!(store, team(), team_id, insert_team, update_team, team, find_teams, teams().await, delete_teams);
        store.insert_user(&user(), &stamp(0)).await.unwrap();
        let twin = User { user_id: "v".to_owned(), ..user() };
        assert_eq!(store.insert_user(&twin, &stamp(0)).await, Err(StoreError::Taken { what: "sso_user_id" }));
    }

    async fn organizations_projects_and_budgets_live(world: World) {
        let store = world.store;
        let row = Organization {
            organization_id: "o".to_owned(),
            organization_alias: some("Org"),
            budget_id: some("b"),
            models: json("[]"),
            metadata: json("{}"),
            model_rpm_limit: json("{}"),
            model_tpm_limit: json("{}"),
            object_permission: json("{}"),
            rest: json("{}"),
            ..Organization::default()
        };
        lives!(store, row, organization_id, insert_organization, update_organization, organization, find_organizations,
               store.list_organizations(PAGE).await.unwrap(), delete_organizations);
        let row = Project {
            project_id: "p".to_owned(),
            project_alias: some("Project"),
            team_id: some("t"),
            budget_id: some("b"),
            description: some("what it is"),
            blocked: true,
            models: json("[]"),
            metadata: json("{}"),
            tags: json("[]"),
            model_rpm_limit: json("{}"),
            model_tpm_limit: json("{}"),
            object_permission: json("{}"),
            rest: json("{}"),
            ..Project::default()
        };
        lives!(store, row, project_id, insert_project, update_project, project, find_projects,
               store.list_projects(PAGE).await.unwrap(), delete_projects);
        let row = Budget {
            budget_id: "b".to_owned(),
            max_budget: dollars(1),
            soft_budget: dollars(2),
            budget_duration: some("1d"),
            budget_reset_at: Some(later(1)),
            max_parallel_requests: Some(1),
            tpm_limit: Some(2),
            rpm_limit: Some(3),
            tpd_limit: Some(4),
            model_max_budget: json("{}"),
            allowed_models: json("[]"),
            temp_budget_increase: dollars(5),
            temp_budget_expiry: Some(later(2)),
            rest: json("{}"),
            ..Budget::default()
        };
        lives!(store, row, budget_id, insert_budget, update_budget, budget, find_budgets,
               store.list_budgets(PAGE).await.unwrap(), delete_budgets);
    }

    async fn customers_tags_models_credentials_and_configuration_live(world: World) {
        let store = world.store;
        let row = Customer {
            customer_id: "c".to_owned(),
            alias: some("Customer"),
            blocked: true,
            allowed_model_region: some("eu"),
            default_model: some("m"),
            models: json("[]"),
            budget_id: some("b"),
            object_permission: json("{}"),
            rest: json("{}"),
            ..Customer::default()
        };
        lives!(store, row, customer_id, insert_customer, update_customer, customer, find_customers,
               store.list_customers(PAGE).await.unwrap(), delete_customers);
        let row = Tag {
            tag_name: "t".to_owned(),
            description: some("what it is"),
            models: json("[]"),
            model_info: json("{}"),
            budget_id: some("b"),
            rest: json("{}"),
            ..Tag::default()
        };
        lives!(store, row, tag_name, insert_tag, update_tag, tag, find_tags, store.list_tags(PAGE).await.unwrap(), delete_tags);
        let row = Model {
            model_id: "m".to_owned(),
            model_name: "group".to_owned(),
            team_id: some("t"),
            blocked: true,
            params: vec![0, 255, 39],
            model_info: json("{}"),
            rest: json("{}"),
            ..Model::default()
        };
        lives!(store, row, model_id, insert_model, update_model, model, find_models,
               store.list_models(PAGE).await.unwrap(), delete_models);
        let row = Credential {
            credential_name: "c".to_owned(),
            display_name: some("C"),
            sealed: vec![1, 0, 2],
            credential_info: json("{}"),
            rest: json("{}"),
            ..Credential::default()
        };
        lives!(store, row, credential_name, insert_credential, update_credential, credential, find_credentials,
               store.list_credentials(PAGE).await.unwrap(), delete_credentials);
        let row = ConfigRow {
            param_name: "general_settings".to_owned(),
            param_value: json("{}"),
            sealed: Some(vec![9]),
            ..ConfigRow::default()
        };
        lives!(store, row, param_name, insert_config, update_config, config, find_config,
               store.list_config(PAGE).await.unwrap(), delete_config);
    }

    async fn members_are_found_from_both_ends(world: World) {
        let store = world.store;
        let member = |team: &str, user: &str| Member {
            team_id: team.to_owned(),
            user_id: user.to_owned(),
            user_email: some("ann@example.org"),
            role: "admin".to_owned(),
            budget_id: some("b"),
            rest: json("{}"),
            ..Member::default()
        };
        for (team, user) in [("t", "ann"), ("t", "bob"), ("s", "ann")] {
            store.insert_member(&member(team, user), &stamp(0)).await.unwrap();
        }
        assert_eq!(store.insert_member(&member("t", "ann"), &stamp(0)).await, Err(StoreError::Taken { what: "the id" }));
        assert_eq!(store.members_of("t").await.unwrap().len(), 2);
        assert_eq!(store.memberships_of("ann").await.unwrap().len(), 2);
        let read = store.member("t", "ann").await.unwrap().unwrap();
        assert_eq!((read.role.as_str(), read.user_email.as_deref()), ("admin", Some("ann@example.org")));
        let demoted = Member { role: "user".to_owned(), ..read };
        assert_eq!(store.update_member(&demoted, 1, &stamp(1)).await, Ok(2));
        assert_eq!(store.member("t", "bob").await.unwrap().unwrap().role, "admin");
        assert_eq!(store.delete_member("t", "ann", &stamp(2)).await.unwrap().unwrap().role, "user");
        assert_eq!(store.delete_member("t", "ann", &stamp(2)).await.unwrap(), None);
        let told = store.changes_since(0).await.unwrap().changes;
        assert_eq!(told[0].other.as_deref(), Some("ann"));

        let place = OrganizationMember {
            organization_id: "o".to_owned(),
            user_id: "ann".to_owned(),
            user_role: some("org_admin"),
            budget_id: some("b"),
            rest: json("{}"),
            ..OrganizationMember::default()
        };
        store.insert_organization_member(&place, &stamp(0)).await.unwrap();
        assert_eq!(store.organization_members_of("o").await.unwrap()[0].user_role, place.user_role);
        assert_eq!(store.organizations_of("ann").await.unwrap().len(), 1);
        let read = store.organization_member("o", "ann").await.unwrap().unwrap();
        assert_eq!(store.update_organization_member(&read, 1, &stamp(1)).await, Ok(2));
        assert!(store.delete_organization_member("o", "ann", &stamp(2)).await.unwrap().is_some());
    }
}
