-- What people are asked, what was ruled and decided, and what they approve in advance.

-- name: inbox
-- A row an open interrupt, derived from its run's journal: what it is found and ordered by. due: of the ladder, else of the end; amount_order: -amount, infinite where there is none. who, barred:
-- a line of JSON each name, with a line break before the first; barred: who refused it before or approved it already. words: what
-- is searched.
create table inbox (
    run_id        text    not null references runs (run_id),
    interrupt     text    not null,
    due           real    not null,
    asked_at      real    not null,
    amount        real,
    amount_order  real    not null,
    kind          text    not null,
    about         text    not null,
    rule          text    not null,
    policy        text    not null,
    tool          text    not null,
    agent         text    not null,
    tenant        text    not null,
    standing      integer not null,
    claimed_until real    not null default 0,
    claimed_by    text    not null default '',
    comments      integer not null default 0,
    who           text    not null,
    barred        text    not null,
    words         text    not null,
    primary key (run_id, interrupt)
) strict;
create index inbox_due on inbox (due, run_id, interrupt);
create index inbox_oldest on inbox (asked_at, run_id, interrupt);
create index inbox_amount on inbox (amount_order, run_id, interrupt);

-- name: inbox bodies
-- The OpenInterrupt of each as JSON, apart from what is walked when one is looked for. Who has it in hand and how many comments it
-- has is not in it.
create table inbox_bodies (
    run_id    text not null,
    interrupt text not null,
    body      text not null,
    primary key (run_id, interrupt),
    foreign key (run_id, interrupt) references inbox (run_id, interrupt) on delete cascade
) strict;

-- name: inbox left
-- Where in the lists an interrupt stood that is open no more, for a day: whoever pages goes on from there.
create table inbox_left (
    run_id       text not null,
    interrupt    text not null,
    due          real not null,
    asked_at     real not null,
    amount_order real not null,
    closed_at    real not null,
    primary key (run_id, interrupt)
) strict, without rowid;
create index inbox_left_at on inbox_left (closed_at);

-- name: sights
-- Who was first shown an open interrupt when.
create table sights (
    run_id    text not null,
    interrupt text not null,
    person    text not null,
    at        real not null,
    primary key (run_id, interrupt, person),
    foreign key (run_id, interrupt) references inbox (run_id, interrupt) on delete cascade
) strict, without rowid;

-- name: judged
-- Every ruling, by the entry that carries it, and what came of it; body: the Judged as JSON, the other columns are what it is found
-- by.
create table judged (
    run_id    text    not null references runs (run_id),
    entry     integer not null,
    at        real    not null,
    policy    text    not null,
    rule      text    not null,
    tool      text    not null,
    agent     text    not null,
    tenant    text    not null,
    interrupt text    not null,
    body      text    not null,
    primary key (run_id, entry)
) strict;
create index judged_at on judged (at, run_id, entry);
create index judged_interrupt on judged (run_id, interrupt, entry) where interrupt <> '';

-- name: standing approvals
-- body: the StandingApproval as JSON; how often it was used, and whether it is taken back, is in the columns.
create table standing_approvals (
    id         text    primary key,
    tool       text    not null,
    at         real    not null,
    until      real    not null,
    uses_max   integer,
    uses       integer not null,
    revoked_at real,
    revoked_by text    not null,
    body       text    not null
) strict, without rowid;
create index standing_approvals_tool on standing_approvals (tool, at, id);

-- name: what earlier releases ask
-- Runs that wait for a person are taken on once more, at once: whoever does that lists what they ask.
update runs set due_at = 0, rank = 0 where status = 'blocked';
