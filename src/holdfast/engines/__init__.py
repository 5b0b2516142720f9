"""Where and when runs are advanced; the journal alone says what happened."""
