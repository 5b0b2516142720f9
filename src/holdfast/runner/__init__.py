"""Read, fold, decide, record, perform: the loop that advances one run."""
