-- What keepers need: where runs came from, what is left of those that were pruned, and how a store is.

-- name: where they came from
-- imported: it has its journal from another store, and is only looked at here. source: the run that it is a fork of.
alter table runs add column imported integer not null default 0;
alter table runs add column source text not null default '';
create index runs_source on runs (source) where source <> '';
create index runs_status on runs (status, changed_at);

-- name: proofs
-- What is left of a run that was pruned: that it was, and the last link of its chain. Its id is not taken again.
create table proofs (
    run_id     text    primary key,
    agent      text    not null,
    status     text    not null,
    version    integer not null,
    link       blob    not null,
    created_at real    not null,
    ended_at   real    not null,
    pruned_at  real    not null,
    pruned_by  text    not null
) strict, without rowid;
create index proofs_at on proofs (pruned_at, run_id);

-- name: loose
-- Contents that a pruned run referred to: they go as soon as it is known that nobody else does.
create table loose (
    digest text primary key
) strict, without rowid;

-- name: prunings
-- One row: how often runs or contents were deleted. Whoever remembers what is in the store looks whether it still may.
create table prunings (
    id     integer primary key check (id = 1),
    number integer not null
) strict;
insert into prunings values (1, 0);

-- name: found by their run
-- All rows of a run that is pruned, and that there are none left.
create index messages_run on messages (run);
create index tokens_run on tokens (run);

-- name: oldest
create index owed_since on owed (since);
