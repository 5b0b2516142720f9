-- What is remembered between the runs of a thread.

-- name: memories
-- A row a memory. Those of one kind and name of a thread have the same `line`, a digest; superseded_by is empty for the one of
-- them that is in force. Of one that was forgotten only its id, owner, kind, line and times are left. value and rests_on are JSON.
create table memories (
    number        integer primary key,
    id            text not null unique,
    tenant        text not null,
    thread        text not null,
    line          text not null,
    kind          text not null,
    name          text not null,
    value         text not null,
    words         text not null,
    agent         text not null,
    source        text not null,
    told_by       text not null,
    confidence    real not null,
    run_id        text not null,
    step          text not null,
    at            real not null,
    valid_until   real,
    rests_on      text not null,
    superseded_by text not null,
    corrected_by  text not null,
    forgotten_at  real,
    forgotten_by  text not null
) strict;
create index memories_line on memories (line);
create index memories_owner on memories (tenant, thread, at);

-- name: memory words
-- By which memories that are in force are searched: rowid is their number; owner is a digest of tenant and thread, one word.
-- What is deleted is erased from the index at once.
create virtual table memory_words using fts5 (owner, words, tokenize = "unicode61 remove_diacritics 2");
insert into memory_words (memory_words, rank) values ('secure-delete', 1);

-- name: forgotten
-- Whose memories were to be forgotten as a whole, and when; an empty thread stands for the whole tenant.
create table forgotten (
    tenant text not null,
    thread text not null,
    at     real not null,
    primary key (tenant, thread)
) strict, without rowid;
