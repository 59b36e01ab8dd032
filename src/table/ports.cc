// Anchors the room's library; the ports themselves are headers only.
#include "table/batch_reader.h"
#include "table/column_writer.h"
#include "table/table_snapshot.h"
#include "table/table_transaction.h"
