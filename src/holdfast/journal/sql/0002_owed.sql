-- What the world owes and who may deliver it, when tools may not be called, and which run started which.

-- name: family
-- parent: the run that started this one, by its run_id, and the step of it that waits; empty for a run of its own.
alter table runs add column parent text not null default '';
alter table runs add column parent_step text not null default '';
alter table runs add column ends_with_parent integer not null default 1;
create index runs_parent on runs (parent) where parent <> '';

-- name: owed
-- What each run is owed, as it last said. Derived from its journal, and gone when the run ends.
create table owed (
    run      integer not null references runs (id),
    step     text    not null,
    tool     text    not null,
    about    text    not null,
    owed_by  text    not null,
    call_key text    not null,
    since    real    not null,
    until    real    not null,
    due_at   real    not null,
    primary key (run, step)
) strict, without rowid;
create index owed_due on owed (due_at);

-- name: tokens
-- Who may deliver the result of a call: digests only. refusals: how many deliveries were refused and recorded.
create table tokens (
    digest     text    primary key,
    run        integer not null references runs (id),
    step       text    not null,
    call_key   text    not null,
    expires_at real    not null,
    used_at    real,
    refusals   integer not null default 0
) strict, without rowid;

-- name: secret
-- One row, filled when the store takes this form: what tokens are made from.
create table secret (
    id    integer primary key check (id = 1),
    bytes blob    not null
) strict;

-- name: gates
-- What is known of each tool's circuit and rate, packed.
create table gates (
    tool  text primary key,
    state blob not null
) strict;

-- name: lasting slots
-- until: the slot outlives its call, and even its run, up to that time; null: it is freed when the call has ended.
alter table slots add column until real;
create index slots_until on slots (until) where until is not null;
