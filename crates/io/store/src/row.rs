//! Rows of tables: a struct, the names of its columns, and how it is read and written, from one list of fields.

use crate::{
    Stamp, StoreError,
    changes::Kind,
    session::{Columns, Read},
    statement::Value,
};

/// A row of a table that has an id and a version, and whose changes other instances are told.
pub(crate) trait Table: Read {
    /// The table.
    const NAME: &'static str;
    /// What its changes are called.
    const KIND: Kind;
    /// The columns that name a row.
    const ID: &'static [&'static str];
    /// All columns, in the order in which they are read.
    const COLUMNS: &'static [&'static str];
    /// The values, in the same order.
    fn values(&self) -> Vec<Value>;
    /// The values of the columns that name it.
    fn id(&self) -> Vec<String>;
    /// What the store fills in when a row is written.
    fn touch(&mut self, version: i64, stamp: &Stamp);

    /// The row of an outer join, where all of its columns may be empty.
    fn read_joined(columns: &mut Columns<'_>) -> Result<Option<Self>, StoreError> {
        let mut ahead = columns.ahead();
        if ahead.text()?.is_none() {
            columns.skip(Self::COLUMNS.len());
            return Ok(None);
        }
        Self::read(columns).map(Some)
    }
}

/// A row: its struct, and its columns. The columns that name it come first; `created_at` to `version` are added.
macro_rules! row {
    ($(#[$about:meta])* pub struct $name:ident in $table:literal, $kind:expr, by [$($id:ident),+] {
        $($(#[$doc:meta])* $field:ident: $type:ty,)+
    }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)+
            /// When it was made.
            pub created_at: $crate::EpochMs,
            /// Who made it.
            pub created_by: Option<String>,
            /// When it was last changed; the store writes it.
            pub updated_at: $crate::EpochMs,
            /// Who changed it last; the store writes it.
            pub updated_by: Option<String>,
            /// How often it was written; the store counts it. A change is made only to the version that was read.
            pub version: i64,
        }

        impl $crate::session::Read for $name {
            fn read(columns: &mut $crate::session::Columns<'_>) -> Result<Self, $crate::StoreError> {
                use $crate::values::Field;
                Ok(Self {
                    $($field: Field::take(columns)?,)+
                    created_at: Field::take(columns)?,
                    created_by: Field::take(columns)?,
                    updated_at: Field::take(columns)?,
                    updated_by: Field::take(columns)?,
                    version: Field::take(columns)?,
                })
            }
        }

        impl $crate::row::Table for $name {
            const NAME: &'static str = $table;
            const KIND: $crate::Kind = $kind;
            const ID: &'static [&'static str] = &[$(stringify!($id)),+];
            const COLUMNS: &'static [&'static str] =
                &[$(stringify!($field),)+ "created_at", "created_by", "updated_at", "updated_by", "version"];

            fn values(&self) -> Vec<$crate::statement::Value> {
                use $crate::values::Field;
                vec![
                    $(self.$field.give(),)+
                    self.created_at.give(), self.created_by.give(), self.updated_at.give(), self.updated_by.give(),
                    self.version.give(),
                ]
            }

            fn id(&self) -> Vec<String> {
                vec![$(self.$id.clone()),+]
            }

            fn touch(&mut self, version: i64, stamp: &$crate::Stamp) {
                self.version = version;
                self.updated_at = stamp.at;
                self.updated_by.clone_from(&stamp.by);
            }
        }
    };
}
pub(crate) use row;
